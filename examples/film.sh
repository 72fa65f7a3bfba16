#!/bin/sh
# One film to a table and a curve: sh examples/film.sh film.mp4 [film.srt|--transcribe]
# Run it where params.yaml and models/champion are. With subtitles each line is a window; without, every four seconds are
# one, or, with --transcribe in place of the subtitles, what is heard (English).
set -eu
film=$1 words=${2:-}
[ "$words" = --transcribe ] || words=${words:+--transcript=$words}
name=${film%.*}
emofuse timeline "$film" ${words:+"$words"} --out "$name.csv" --out "$name.svg"
echo "$name.csv has a row a window, $name.svg a line an emotion"
