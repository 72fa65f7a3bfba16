from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.core.errors import DataError
from emofuse.core.text import normal_form
from emofuse.datasets.delimited import DOUBTFUL, decode, pick_separator, read_records, usual_width
from emofuse.datasets.user_tables import UserTable, read_user_table

HEADER = "Utterance,Speaker"
ROW = "He’s lost “it”,Zoë"


def read(path: Path, raw: bytes | str, *columns: str) -> UserTable:
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    return read_user_table(path, columns)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_any_common_encoding_gives_the_same_words(tmp_path: Path, encoding: str, newline: str) -> None:
    text = newline.join([HEADER, ROW, ROW, ""])
    table = read(tmp_path / "a.csv", text.encode(encoding), "Utterance", "Speaker")
    assert table.column("Utterance") == ["He’s lost “it”"] * 2
    assert table.column("Speaker") == ["Zoë"] * 2
    assert bool(table.notes) == (encoding == "cp1252")


def test_latin_1_is_read_and_counted(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "Utterance\nCafé\ntea\n".encode("iso-8859-1"))
    assert table.column("Utterance") == ["Café", "tea"]
    assert table.notes == ["a.csv: 1 of 4 lines aren't UTF-8; read as Windows-1252"]


def test_a_stray_byte_spoils_its_line_alone() -> None:
    text, odd = decode("Zoë\n".encode() + b"he\x92s\n" + b"\x81\n")
    assert text == "Zoë\nhe’s\n\x81\n"
    assert odd == 2


def test_rows_of_the_wrong_length_are_kept_and_named(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "a,b,c\n1,2,3\n1,2\n1,2,3,4\n\n5,6,7\n", "a")
    assert table.rows == [["1", "2", "3"], ["1", "2", ""], ["1", "2", "3"], ["5", "6", "7"]]
    assert table.torn == [False, True, True, False]
    issues = [issue for issues in table.issues for issue in issues]
    assert [issue.split(";")[0] for issue in issues] == ["found 2 fields, expected 3", "found 4 fields, expected 3"]


@pytest.mark.parametrize(
    "rows",
    [
        "Well, I know,joy",  # one field too many
        "Well, I know, you see,joy,",
        "joy",  # one too few: what is missing?
        '"Well, I know',  # a quote that is never closed: where does the text end?
    ],
)
def test_of_a_torn_row_only_the_words_are_kept(tmp_path: Path, rows: str) -> None:
    table = read(tmp_path / "a.csv", f"text,label\nhi,joy\nho,anger\n{rows}\nhm,joy\n", "text", "label")
    frame = table.as_rows({"text": "text", "label": "label"})
    assert frame["label"].tolist() == ["joy", "anger", "", "joy"]
    assert frame["row"].tolist() == [1, 2, 3, 4]
    assert [bool(issues) for issues in frame["issues"]] == [False, False, True, False]
    assert frame["text"][2]


@pytest.mark.parametrize(
    ("raw", "rows"),
    [
        ("text,speaker\nhi,Ann,\nno,Ben,\n", [["hi", "Ann"], ["no", "Ben"]]),
        ("text,speaker,\nhi,Ann,\nno,Ben,\n", [["hi", "Ann", ""], ["no", "Ben", ""]]),
        ("text,speaker,,\nhi,Ann\nno,Ben\n", [["hi", "Ann", "", ""], ["no", "Ben", "", ""]]),
        ("text;speaker\nhi;Ann;;\nno;;;\n", [["hi", "Ann"], ["no", ""]]),
    ],
)
def test_a_separator_too_many_in_every_row_shifts_nothing(tmp_path: Path, raw: str, rows: list[list[str]]) -> None:
    table = read(tmp_path / "a.csv", raw, "text", "speaker")
    assert table.rows == rows
    assert not any(table.torn)


def test_a_row_that_has_more_than_the_separator_too_many_is_torn_alone(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "text,label\nhi,joy,\nWell, I know,joy,\nWell, I know,joy\nho,fear,\n", "label")
    assert table.torn == [False, True, True, False]


def test_a_separator_too_many_in_one_row_may_have_shifted_it(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "text,label,speaker\nhi,joy,Ann\nWell, I know,joy,\nho,joy,Ben\n", "label")
    assert table.torn == [False, True, False]


def test_a_stray_quote_does_not_swallow_the_rows_after_it(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", 'a,b\n1,"so she said\n2,fine\n3,"quite, fine"\n')
    assert table.column("a") == ["1", "2", "3"]
    assert table.column("b") == ['"so she said', "fine", "quite, fine"]
    assert [bool(issues) for issues in table.issues] == [True, False, False]


STRAY = [
    ('"he said "hi" 5",joy', 'he said "hi" 5', False),
    ('"so ""she"" said "no"",joy', 'so "she" said "no"', False),
    ('he said "hi",joy', 'he said "hi"', False),  # no fault: it doesn't begin with a quote
    ('"so she said,joy', '"so she said', True),
    ('"5"" tall",joy', '5" tall', False),
    ('"5" tall",joy', '"5" tall"', True),
]


@pytest.mark.parametrize(("stray", "text", "torn"), STRAY)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_stray_quote_tears_no_field_with_line_breaks(
    tmp_path: Path, stray: str, text: str, torn: bool, newline: str
) -> None:
    rows = [f'"hi{newline}{number}, there",anger' for number in range(24)]
    rows[5] = stray
    table = read(tmp_path / "a.csv", newline.join(["text,label", *rows, ""]), "text")
    assert len(table.rows) == 24
    assert table.column("text") == [f"hi{newline}{number}, there" if number != 5 else text for number in range(24)]
    assert [number for number, row_torn in enumerate(table.torn) if row_torn] == [5] * torn
    assert [cell for cell, row_torn in zip(table.column("label"), table.torn, strict=True) if not row_torn] == [
        "joy" if row == stray else "anger" for row in rows if not (torn and row == stray)
    ]


def test_quotes_that_swallow_what_could_be_rows_are_named(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", 'label,text\njoy,"\nanger,"\nfear,no\njoy,"hi\nthere"\n', "text")
    assert [DOUBTFUL in issues for issues in table.issues] == [True, False, False]


# What str.splitlines takes for the end of a line and a file doesn't.
@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\r"])
@pytest.mark.parametrize("stray", ["", '3,"never closed\n'])
def test_only_line_ends_end_a_line(tmp_path: Path, sign: str, stray: str) -> None:
    table = read(tmp_path / "a.csv", f'a,b\n1,x{sign}y\n2,"x{sign}y"\n{stray}4,z\n', "a", "b")
    assert table.column("a") == ["1", "2", *["3"] * bool(stray), "4"]
    assert [normal_form(cell) for cell in table.column("b")[:2]] == [normal_form(f"x{sign}y")] * 2


CELL = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r"), max_size=8)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6),
    st.sampled_from(",;\t"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_is_read_back(rows: list[list[str]], separator: str, newline: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=newline).writerows([["a", "b", "c"], *rows])
    raw, odd = decode(text.getvalue().encode())
    records = list(read_records(raw, separator))
    assert [record.fields for record in records] == [["a", "b", "c"], *rows]
    assert {record.fault for record in records} <= {"", DOUBTFUL}
    assert odd == 0


@given(
    st.lists(st.sampled_from(['plain,"x"', '"a, b",y', '"two\nlines",z', '"no ""more""",w']), min_size=1, max_size=8),
    st.sampled_from(['"so she said,joy', '5" x,"joy', '"a"b,c', 'x,"y"z"', '"']),
    st.integers(0, 8),
)
def test_a_row_with_a_stray_quote_costs_no_other(rows: list[str], stray: str, place: int) -> None:
    place = min(place, len(rows))
    lines = ["a,b", *rows[:place], stray, *rows[place:]]
    records = list(read_records("\n".join(lines) + "\n", ","))
    whole = [next(csv.reader(io.StringIO(row, newline=""))) for row in rows]
    assert [record.fields for record in records[1 : place + 1]] == whole[:place]
    assert [record.fields for record in records[place + 2 :]] == whole[place:]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.tsv", "a\tb\n1\t2,5\n"),
        ("a.csv", "a;b\n1;2,5\n"),
        ("a.csv", "a\tb\n1\t2,5\n"),
        ("a.txt", "a\tb\tsaid, or sung\n1\t2,5\tx\n"),
        ("a.tsv", 'a,b\n1,"2,5"\n'),
        ("a.csv", '"a";"b";"c, d, e, f"\n1;2,5;3\n'),
    ],
)
def test_separators(tmp_path: Path, name: str, raw: str) -> None:
    assert read(tmp_path / name, raw, "a", "b").column("b") == ["2,5"]


def test_a_table_of_one_column_has_no_separator(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", 'text\nWell, I know\n"quoted, too"\nno; really\n', "text")
    assert table.column("text") == ["Well, I know", "quoted, too", "no; really"]
    assert not any(table.torn)
    assert pick_separator("text;\nhi;\n", ["text"]) == ";"


def test_the_usual_width_is_the_headings_unless_rows_differ_by_empty_fields() -> None:
    rows = list(read_records("a,b,\n1,2\n1,2,3\n", ","))
    assert usual_width(["a", "b", ""], rows[1:2]) == 2
    assert usual_width(["a", "b"], rows[2:]) == 2
    assert usual_width(["a", "b", ""], []) == 3


def test_parquet_cells_are_read_as_strings(tmp_path: Path) -> None:
    pd.DataFrame({"label": ["joy", None], "turn": [1, 2], "start": [0.5, None]}).to_parquet(tmp_path / "a.parquet")
    table = read_user_table(tmp_path / "a.parquet", ["label", "turn"])
    assert table.column("label") == ["joy", ""]
    assert table.column("turn") == ["1", "2"]
    assert table.column("start") == ["0.5", ""]


@pytest.mark.parametrize("heading", ["emotion,emotion", "emotion, emotion ", "U\u0308ber,\u00dcber", "a,a\u200b"])
def test_a_heading_that_is_used_and_stands_twice_is_refused(tmp_path: Path, heading: str) -> None:
    name = heading.split(",")[0]
    with pytest.raises(DataError, match=r"a\.csv: found several columns .+, expected one of each; rename or remove"):
        read(tmp_path / "a.csv", f"text,{heading}\nhi,joy,anger\n", "text", name)


def test_a_heading_of_a_parquet_file_that_stands_twice_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table([["joy"], ["anger"]], names=["label", "label"]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="found several columns label"):
        read_user_table(tmp_path / "a.parquet", ["label"])


def test_a_heading_that_is_not_used_and_stands_twice_is_told(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", "text,x,x,,\nhi,1,2,3,4\n", "text").notes == ["a.csv: several columns are called x"]


@pytest.mark.parametrize(
    ("heading", "asked"), [("Gefu\u0308hl", "Gef\u00fchl"), (" label\u200b", "label"), ("a  b", "a b")]
)
def test_headings_are_found_by_their_normal_form(tmp_path: Path, heading: str, asked: str) -> None:
    assert read(tmp_path / "a.csv", f"text,{heading}\nhi,joy\n", asked).column(asked) == ["joy"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty file"),
        (b"\x00\xff\xfe\x00" * 100, "NUL bytes"),
        ("text\nhi\n".encode("utf-16-le"), "NUL bytes, so it is no text; save it as UTF-8"),
        ("text\nhi\n".encode("utf-32"), "NUL bytes"),
        (b"x,y\n1,2\n", r"missing columns label; found x, y; expected label"),
    ],
)
def test_what_is_no_table_is_refused_with_its_name(tmp_path: Path, raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"a\.csv: .*{message}"):
        read(tmp_path / "a.csv", raw, "label")


def test_a_parquet_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.parquet: can't be read"):
        read(tmp_path / "a.parquet", b"PAR1 no", "label")


@given(st.one_of(st.binary(max_size=60), st.text(st.sampled_from('a,;\t"\n\r\u2028\0 '), max_size=60).map(str.encode)))
def test_whatever_a_file_holds_is_a_table_or_refused(raw: bytes) -> None:
    with TemporaryDirectory() as folder:
        try:
            table = read(Path(folder) / "a.csv", raw)
        except DataError as error:
            assert "a.csv: can't be read" in str(error)
            return
    assert len(table.rows) == len(table.issues) == len(table.torn)
    assert all(len(row) == len(table.headings) for row in table.rows)


@pytest.mark.parametrize(
    "row",
    [
        'Ann,joy"so, he said"',  # a separator is missing ahead of the quote
        'Ann,joy,"two\nlines, you see",',
        'Ann,joy,"two\nlines, you see"x',
        '"""Oh"", no"joy,x,Ann',
    ],
)
def test_quotes_that_end_in_the_wrong_place_make_no_label(tmp_path: Path, row: str) -> None:
    table = read(tmp_path / "a.csv", f'who,label,text\nAnn,joy,hi\n{row}\nAnn,joy,5" tall\n', "label", "text")
    frame = table.as_rows({"text": "text", "label": "label"})
    assert frame["label"].tolist() == ["joy", "", "joy"]
    assert [bool(issues) for issues in frame["issues"]] == [False, True, False]


@given(st.data())
def test_a_separator_put_in_or_taken_out_makes_no_label(data: st.DataObject) -> None:
    texts = ["hi", '"so, he said"', '"two\nlines, you see"', '5" tall']
    rows = [f"{texts[n % 4]} {n}".replace(f'" {n}', f' {n}"') + f",{('joy', 'anger')[n % 2]},Ann" for n in range(8)]
    whole = "\n".join(["text,label,who", *rows, ""])
    place = data.draw(st.integers(len("text,label,who\n"), len(whole) - 1))
    mutated = whole[:place] + whole[place + 1 :] if whole[place] == "," else f"{whole[:place]},{whole[place:]}"
    with TemporaryDirectory() as folder:
        frame = read(Path(folder) / "a.csv", mutated, "text", "label").as_rows({"text": "text", "label": "label"})
    assert len(frame) == 8
    assert set(frame["label"]) <= {"joy", "anger", ""}
    assert (frame["label"] == "").sum() <= 1
