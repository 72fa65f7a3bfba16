"""Users' tables: CSV, TSV and Parquet, in any common encoding, with every row kept."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emofuse.core.errors import DataError
from emofuse.core.rows import AS_READ
from emofuse.core.text import normal_form
from emofuse.datasets.delimited import UNBALANCED, Record, decode, pick_separator, read_records, surplus, usual_width


@dataclass(frozen=True)
class UserTable:
    """A table as a user has it. Its columns are the user's alone: what is known of a row stands beside them.

    Attributes:
        name: of the file.
        headings: in normal form, one a column.
        rows: n rows of cells, one a column; an empty cell is an empty string.
        issues: what is wrong with each row as a whole.
        torn: of each row, whether it is anyone's guess which of its cells is which.
        notes: what is odd about the file as a whole.
    """

    name: str
    headings: list[str]
    rows: list[list[str]]
    issues: list[list[str]]
    torn: list[bool]
    notes: list[str]

    def has(self, *headings: str) -> bool:
        """Whether there are such columns."""
        return all(normal_form(heading) in self.headings for heading in headings)

    def column(self, heading: str) -> list[str]:
        """The cells under a heading, which stands once."""
        place = self.headings.index(normal_form(heading))
        return [row[place] for row in self.rows]

    def as_rows(self, columns: Mapping[str, str]) -> pd.DataFrame:
        """The rows as a layout gives them; of a torn row only its words are kept.

        Args:
            columns: under names of `AS_READ` the user's headings.
        """
        frame = pd.DataFrame({name: self.column(heading) for name, heading in columns.items()}, dtype=str)
        for name in set(columns) - {"text", "split"}:
            frame.loc[self.torn, name] = AS_READ[name]
        frame["issues"] = pd.Series(self.issues, dtype=object)
        return frame.assign(source=self.name, row=range(1, len(self.rows) + 1))


def read_user_table(path: Path, columns: Sequence[str], others: Collection[str] = ()) -> UserTable:
    """Read a table as strings.

    Args:
        path: `.parquet`, or else a text whose fields are separated by commas, semicolons or tabs.
        columns: those that must be there.
        others: those that are used where they are there.

    Raises:
        DataError: the file is missing, unreadable or empty, lacks one of `columns`, or a column that is used stands
            twice.
    """
    expected = f"expected a table with the columns {', '.join(columns)}" if columns else "expected a table"
    wanted = [normal_form(column) for column in (*columns, *others)]
    try:
        table = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_delimited(path, wanted)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {expected}") from None
    except (pa.ArrowInvalid, OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: can't be read: {error}; {expected}") from None
    missing = [column for column in columns if not table.has(column)]
    if missing:
        raise DataError(
            f"{path}: missing columns {', '.join(missing)}; found {', '.join(table.headings)}; "
            f"expected {', '.join(columns)}. Add or rename them"
        )
    twice = [name for name, count in Counter(table.headings).items() if count > 1 and name]
    if meant := [name for name in twice if name in wanted]:
        raise DataError(
            f"{path}: found several columns {', '.join(meant)}, expected one of each; rename or remove the others"
        )
    table.notes.extend(f"{path.name}: several columns are called {name}" for name in twice)
    return table


def _read_delimited(path: Path, wanted: Collection[str]) -> UserTable:
    text, odd = decode(path.read_bytes())
    notes = [f"{path.name}: {odd} of {text.count(chr(10)) + 1} lines aren't UTF-8; read as Windows-1252"] if odd else []
    separator = pick_separator(text, wanted, "\t" if path.suffix.lower() in (".tsv", ".tab") else ",")
    records = list(read_records(text, separator))
    if not records:
        raise ValueError("found an empty file")
    names, body = [normal_form(name) for name in records[0].fields], records[1:]
    width = usual_width(names, body)
    uneven = [len(record.fields) != width or any(surplus(names, record)) for record in body]
    return UserTable(
        path.name,
        names,
        [(record.fields + [""] * len(names))[: len(names)] for record in body],
        [_issues(record, wrong, len(names)) for record, wrong in zip(body, uneven, strict=True)],
        [wrong or record.fault == UNBALANCED for record, wrong in zip(body, uneven, strict=True)],
        notes,
    )


def _issues(record: Record, uneven: bool, expected: int) -> list[str]:
    issues = [record.fault] if record.fault else []
    if uneven:
        issues.append(
            f"found {len(record.fields)} fields, expected {expected}; put a field that holds a comma in quotes"
        )
    return issues


def _read_parquet(path: Path) -> UserTable:
    with pq.ParquetFile(path) as file:  # which takes a name that stands twice
        table = file.read()
    columns = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    names = [normal_form(name) for name in table.column_names]
    count = table.num_rows
    return UserTable(
        path.name,
        names,
        [list(row) for row in zip(*columns, strict=True)],
        [[] for _ in range(count)],
        [False] * count,
        [],
    )


def _cell(value: object) -> str:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
