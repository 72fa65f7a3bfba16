from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from emofuse.core.errors import DataError
from emofuse.datasets.tables import decode, read_rows

HEADER = "Utterance,Speaker"
ROW = "He’s lost “it”,Zoë"


def read(path: Path, raw: bytes, *columns: str) -> tuple[pd.DataFrame, list[str]]:
    path.write_bytes(raw)
    notes: list[str] = []
    return read_rows(path, columns, notes), notes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_common_encoding_gives_the_same_words(tmp_path: Path, encoding: str, newline: str) -> None:
    text = newline.join([HEADER, ROW, ROW, ""])
    frame, notes = read(tmp_path / "a.csv", text.encode(encoding), "Utterance", "Speaker")
    assert frame["Utterance"].tolist() == ["He’s lost “it”"] * 2
    assert frame["Speaker"].tolist() == ["Zoë"] * 2
    assert bool(notes) == (encoding == "cp1252")


def test_latin_1_is_read_and_counted(tmp_path: Path) -> None:
    frame, notes = read(tmp_path / "a.csv", "Utterance\nCafé\ntea\n".encode("iso-8859-1"))
    assert frame["Utterance"].tolist() == ["Café", "tea"]
    assert notes == ["a.csv: 1 of 4 lines aren't UTF-8; read as Windows-1252"]


def test_a_stray_byte_spoils_its_line_alone() -> None:
    text, odd = decode("Zoë\n".encode() + b"he\x92s\n" + b"\x81\n")
    assert text == "Zoë\nhe’s\n\x81\n"
    assert odd == 2


def test_rows_of_the_wrong_length_are_kept_and_named(tmp_path: Path) -> None:
    frame, _ = read(tmp_path / "a.csv", b"a,b,c\n1,2,3\n1,2\n1,2,3,4\n\n", "a")
    assert frame[["a", "b", "c"]].to_numpy().tolist() == [["1", "2", "3"], ["1", "2", ""], ["1", "2", "3"]]
    assert frame["issues"].tolist() == [[], ["found 2 fields, expected 3"], ["found 4 fields, expected 3"]]
    assert frame["row"].tolist() == [1, 2, 3]


def test_a_stray_quote_does_not_swallow_the_rows_after_it(tmp_path: Path) -> None:
    frame, _ = read(tmp_path / "a.csv", b'a,b\n1,"so she said\n2,fine\n3,"quite, fine"\n')
    assert frame["a"].tolist() == ["1", "2", "3"]
    assert frame["b"].tolist() == ['"so she said', "fine", "quite, fine"]
    assert [bool(issues) for issues in frame["issues"]] == [True, False, False]


def test_a_quoted_line_break_stays_in_its_field(tmp_path: Path) -> None:
    frame, _ = read(tmp_path / "a.csv", b'a,b\n1,"two\nlines"\n')
    assert frame["b"].tolist() == ["two\nlines"]


@pytest.mark.parametrize(("name", "raw"), [("a.tsv", b"a\tb\n1\t2,5\n"), ("a.csv", b"a;b\n1;2,5\n")])
def test_separators(tmp_path: Path, name: str, raw: bytes) -> None:
    frame, _ = read(tmp_path / name, raw, "a", "b")
    assert frame["b"].tolist() == ["2,5"]


def test_parquet_cells_are_read_as_strings(tmp_path: Path) -> None:
    pd.DataFrame({"label": ["joy", None], "turn": [1, 2]}).to_parquet(tmp_path / "a.parquet")
    frame = read_rows(tmp_path / "a.parquet", ["label", "turn"], [])
    assert frame["label"].tolist() == ["joy", ""]
    assert frame["turn"].tolist() == ["1", "2"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty file"),
        (b"\x00\xff\xfe\x00" * 100, "NUL bytes"),
        (b"x,y\n1,2\n", r"missing columns label; found x, y; expected label"),
    ],
)
def test_what_is_no_table_is_refused_with_its_name(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv: .*{message}"):
        read(tmp_path / "a.csv", raw, "label")


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: can't be read"):
        read(tmp_path / "a.parquet", b"PAR1 no", "label")
