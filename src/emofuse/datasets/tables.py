"""Reading of users' tables."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from emofuse.errors import DataError

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a CSV as strings; an empty cell is an empty string.

    Raises:
        DataError: the file is missing, unreadable, or lacks one of `columns`.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; expected a CSV with the columns {', '.join(columns)}") from None
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, OSError) as error:
        raise DataError(
            f"{path}: can't be read as a CSV in UTF-8: {error}; expected the columns {', '.join(columns)}"
        ) from None
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise DataError(
            f"{path}: missing columns {', '.join(missing)}; found {', '.join(table.columns)}; "
            f"expected {', '.join(columns)}. Add or rename them"
        )
    return table


def seconds(text: str) -> float:
    """Seconds of a clock time such as `00:16:16,059`; NaN where it is none.

    >>> seconds("00:01:02,500")
    62.5
    """
    match = _CLOCK.fullmatch(text.strip())
    if not match:
        return math.nan
    hours, minutes, rest = match.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(rest.replace(",", "."))
