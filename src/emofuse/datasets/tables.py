"""Reading of users' tables: CSV, TSV and Parquet, in any common encoding, with every row kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emofuse.core.errors import DataError

MAX_FIELD = 1 << 20  # characters; a longer field is a quote that was never closed


def read_rows(path: Path, columns: Sequence[str], notes: list[str]) -> pd.DataFrame:
    """Read a table as strings; an empty cell is an empty string.

    Args:
        path: `.parquet`, `.tsv` or `.tab`; anything else is read as CSV, separated by commas or semicolons.
        columns: those that must be there.
        notes: what is odd about the file as a whole is added here.

    Returns:
        The table's columns, and `issues`, `source` (the file's name) and `row` (1-based, the header not counted).

    Raises:
        DataError: the file is missing, unreadable, empty, or lacks one of `columns`.
    """
    expected = f"expected a table with the columns {', '.join(columns)}" if columns else "expected a table"
    try:
        frame = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_delimited(path, notes)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {expected}") from None
    except (pa.ArrowInvalid, OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: can't be read: {error}; {expected}") from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        found = ", ".join(column for column in frame.columns if column != "issues")
        raise DataError(
            f"{path}: missing columns {', '.join(missing)}; found {found}; expected {', '.join(columns)}. "
            "Add or rename them"
        )
    frame["source"] = path.name
    frame["row"] = range(1, len(frame) + 1)
    return frame


def decode(raw: bytes) -> tuple[str, int]:
    """Text of a file whose lines are in UTF-8 or, where they aren't, in Windows-1252, which prints all of ISO-8859-1.

    Returns:
        The text, and the number of lines that weren't UTF-8.

    Raises:
        ValueError: it is no text.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16"), 0
    if b"\x00" in raw:
        raise ValueError("found NUL bytes, so it is no text")
    lines, odd = [], 0
    for line in raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            odd += 1
            lines.append("".join(_cp1252(byte) for byte in line))
    return "\n".join(lines), odd


def _cp1252(byte: int) -> str:
    try:
        return bytes([byte]).decode("cp1252")
    except UnicodeDecodeError:  # five bytes stand for nothing in Windows-1252
        return chr(byte)


def _read_delimited(path: Path, notes: list[str]) -> pd.DataFrame:
    text, odd = decode(path.read_bytes())
    if odd:
        notes.append(f"{path.name}: {odd} of {text.count(chr(10)) + 1} lines aren't UTF-8; read as Windows-1252")
    heading = text.split("\n", 1)[0]
    delimiter = (
        "\t" if path.suffix.lower() in (".tsv", ".tab") else ";" if ";" in heading and "," not in heading else ","
    )
    records, broken = _records(text, delimiter)
    if not records:
        raise ValueError("found an empty file")
    names = [name.strip() for name in records[0]]
    rows, issues = [], []
    for number, record in enumerate(records[1:], start=1):
        problems = ["quotes aren't balanced"] if number in broken else []
        if len(record) != len(names):
            problems.append(f"found {len(record)} fields, expected {len(names)}")
        rows.append((record + [""] * len(names))[: len(names)])
        issues.append(problems)
    frame = pd.DataFrame(rows, columns=names, dtype=str)
    frame = frame.loc[:, ~frame.columns.duplicated()]
    return frame.assign(issues=pd.Series(issues, dtype=object))


def _records(text: str, delimiter: str) -> tuple[list[list[str]], set[int]]:
    """Rows of fields, and the numbers of those whose quotes had to be guessed."""
    csv.field_size_limit(MAX_FIELD)
    try:
        strict = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        return [record for record in strict if record], set()
    except csv.Error:
        # A stray quote would swallow the rows up to the next one: then each line is a row.
        records: list[list[str]] = []
        broken = set()
        for line in text.splitlines():
            if not line:
                continue
            try:
                record = next(csv.reader([line], delimiter=delimiter, strict=True))
            except csv.Error:
                broken.add(len(records))
                record = next(csv.reader([line], delimiter=delimiter, quoting=csv.QUOTE_NONE))
            records.append(record)
        return records, broken


def _read_parquet(path: Path) -> pd.DataFrame:
    table = pq.read_table(path)
    columns = {
        name: ["" if value is None else str(value) for value in table[name].to_pylist()] for name in table.column_names
    }
    frame = pd.DataFrame(columns, dtype=str)
    return frame.assign(issues=[[] for _ in range(len(frame))])
