#!/bin/sh
# A table of clips to a trained and served champion: sh examples/own_clips.sh FOLDER [more of dvc exp run]
# FOLDER holds table.csv with the columns clip (a path in FOLDER), text, label, dialogue and speaker; for each of them
# that your table lacks add, say, -S ingest.table.speaker=null. The service is at http://127.0.0.1:3000, or at the port
# that PORT names; Ctrl-C ends it.
set -eu
folder=$1
shift
dvc exp run -S ingest.layout=table -S ingest.root="$folder" -S ingest.table.file=table.csv \
    -S ingest.table.media=clip -S ingest.table.text=text -S ingest.table.label=label \
    -S ingest.table.dialogue=dialogue -S ingest.table.speaker=speaker "$@"
dvc metrics show
exec bentoml serve --host 127.0.0.1 --port "${PORT:-3000}"
