"""The manifest held to its description: what every layout's rows are once they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from emofuse.core.errors import DataError, listed
from emofuse.core.records import KEY
from emofuse.core.rows import ManifestRow
from emofuse.core.tables import MANIFEST

_ROWS = TypeAdapter(list[ManifestRow])


def validate(manifest: pd.DataFrame) -> None:
    """Check a manifest against the description of its rows.

    Raises:
        DataError: a layout gave rows that break it; of all breaches the first of each kind is named.
    """
    rows: list[dict[str, Any]] = []
    problems: dict[object, str] = {}
    try:
        rows = pa.Table.from_pandas(manifest[MANIFEST.names], MANIFEST, preserve_index=False).to_pylist()
        _ROWS.validate_python(rows)
    except pa.ArrowException as error:
        problems[type(error)] = str(error)
    except ValidationError as error:
        for detail in error.errors():
            number, *column = detail["loc"]
            problems.setdefault((*column, detail["type"]), _problem(detail, rows[int(number)]))
    if manifest.duplicated(KEY).any():
        problems["key"] = f"several rows have the same {', '.join(KEY)}"
    if problems:
        raise DataError(f"the layout's rows break the manifest's contract\n{listed(list(problems.values()))}")


def _problem(detail: ErrorDetails, row: Mapping[str, Any]) -> str:
    columns = detail["loc"][1:]  # none where several columns don't fit each other
    value = f"{columns[0]}: found {detail['input']!r}; " if columns else ""
    return f"{value}{detail['msg'][0].lower()}{detail['msg'][1:]} ({row['source']} row {row['row']})"
