"""Any table of clips: CSV, TSV or Parquet, its columns named in params."""

from __future__ import annotations

from emofuse.core.params import IngestParams
from emofuse.datasets.meld import existing
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.user_tables import read_user_table
from emofuse.datasets.values import split

COLUMNS = ("clip", "text", "label", "dialogue", "utterance", "speaker", "start", "end", "split")
PARAMS = {"clip": "media", "utterance": "position"}  # the params under `ingest.table` that have another name


def read_any_table(params: IngestParams) -> RawRows:
    """Read the table named by `ingest.table.file`, under the root, by its column mapping.

    Raises:
        DataError: the root or the table is missing, it can't be read, or a named column is not in it.
    """
    table = params.table
    root = existing(params.root, f"the folder that holds {table.file}")
    named = {column: getattr(table, PARAMS.get(column, column)) for column in COLUMNS} | {"row_id": params.id}
    columns = {column: heading for column, heading in named.items() if heading is not None}
    rows = read_user_table(root / table.file, list(dict.fromkeys(columns.values())))
    frame = rows.as_rows(columns)
    if "split" in columns:
        splits = [split(value) for value in frame["split"]]
        frame["split"] = [name for name, _ in splits]
        frame["issues"] = [issues + more for issues, (_, more) in zip(frame["issues"], splits, strict=True)]
    return RawRows(frame, rows.notes)
