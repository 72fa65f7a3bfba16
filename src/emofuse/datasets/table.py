"""Any table of clips: CSV, TSV or Parquet, its columns named in params."""

from __future__ import annotations

import pandas as pd

from emofuse.core.params import IngestParams
from emofuse.datasets.meld import existing
from emofuse.datasets.source import Source
from emofuse.datasets.tables import read_rows
from emofuse.datasets.values import split

# The manifest's column, and the param under `ingest.table` that names the user's.
NAMED = {
    "clip": "media",
    "text": "text",
    "label": "label",
    "dialogue": "dialogue",
    "utterance": "position",
    "speaker": "speaker",
    "start": "start",
    "end": "end",
}


def read_table(params: IngestParams) -> Source:
    """Read the table named by `ingest.table.file`, under the root, by its column mapping.

    Raises:
        DataError: the root or the table is missing, it can't be read, or a named column is not in it.
    """
    table = params.table
    root = existing(params.root, f"the folder that holds {table.file}")
    wanted = {column: name for column, param in NAMED.items() if (name := getattr(table, param)) is not None}
    named = [name for name in (*wanted.values(), table.split, params.id) if name is not None]
    notes: list[str] = []
    rows = read_rows(root / table.file, list(dict.fromkeys(named)), notes)
    frame = pd.DataFrame({column: rows[name] for column, name in wanted.items()})
    if "dialogue" in frame:
        frame["dialogue"] = frame["dialogue"].str.strip()
    frame[["source", "row", "issues"]] = rows[["source", "row", "issues"]]
    if params.id is not None:
        frame["row_id"] = rows[params.id]
    if table.split is not None:
        known = [split(value) for value in rows[table.split]]
        frame["split"] = [name for name, _ in known]
        frame["issues"] = [issues + more for issues, (_, more) in zip(frame["issues"], known, strict=True)]
    return Source(frame, notes)
