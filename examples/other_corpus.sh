#!/bin/sh
# A finished champion on data that it has not learnt from: sh examples/other_corpus.sh LAYOUT:PATH [more of emofuse score]
# as ravdess:/data/RAVDESS --map calm=neutral. It prints the scores with their intervals, beside what the
# commonest class would reach and what the champion reached at home, and writes scores.json and scores.html.
set -eu
data=$1
shift
emofuse score "$data" --json scores.json --html scores.html "$@"
