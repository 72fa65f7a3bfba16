"""Tables of questions: which utterances they give, and how they are written back with their answers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from emofuse.cli import app
from emofuse.core.errors import DataError
from emofuse.core.records import Line, Utterance
from emofuse.core.tables import utterances
from emofuse.inference.table_answers import answer_table, question_rows, read_questions, write_answers
from tests.pipeline.imports import ROOT

ANSWER: dict[str, Any] = {
    "label": "joy",
    "probabilities": {"anger": 0.25, "joy": 0.75},
    "modalities": {"text": {"unfamiliar": False}, "audio": {"unfamiliar": True}},
    "note": "",
}
ERROR: dict[str, Any] = {"error": "clip: file not found"}


def asked(folder: Path, content: bytes | str, name: str = "in.csv") -> list[Utterance]:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return utterances(question_rows(read_questions(folder / name), folder), folder)


FIRST = Utterance("naïve", "Ann", position=0, dialogue_length=2)
SECOND = Utterance("no; really", None, position=1, dialogue_length=2, context=(Line("naïve", "Ann"),))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
@pytest.mark.parametrize(("separator", "name"), [(",", "in.csv"), ("\t", "in.csv"), ("\t", "in.tsv"), (";", "in.csv")])
@pytest.mark.parametrize("end", ["", "{0}"])
def test_questions_are_read_as_ingest_reads_its_tables(
    tmp_path: Path, encoding: str, separator: str, name: str, end: str
) -> None:
    rows = [("text", "speaker", "dialogue"), ("naïve", "Ann", " d1"), ('"no; really"', "", "d1 ")]
    lines = [separator.join(row) + (end.format(separator) if number else "") for number, row in enumerate(rows)]
    assert asked(tmp_path, "\r\n".join([*lines, ""]).encode(encoding), name) == [FIRST, SECOND]


def test_questions_may_stand_in_a_parquet_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["naïve", "no; really"], "speaker": ["Ann", None], "dialogue": [1, 1]})
    frame.to_parquet(tmp_path / "in.parquet")
    assert utterances(question_rows(read_questions(tmp_path / "in.parquet"), tmp_path), tmp_path) == [FIRST, SECOND]


def test_clips_are_looked_for_beside_the_table_or_where_the_path_leads(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for path in (tmp_path / "up.wav", here / "na\u00efve.wav", here / "x.wav"):
        path.touch()
    paths = ["x.wav", "", "nai\u0308ve.wav ", "../up.wav", str(tmp_path / "up.wav"), "gone.wav"]
    clips = [utterance.clip for utterance in asked(here, "\n".join(["clip", *paths[:1], '""', *paths[2:]]) + "\n")]
    assert clips == [
        here / "x.wav",
        None,
        here / "na\u00efve.wav",
        here / "../up.wav",
        tmp_path / "up.wav",
        here / "gone.wav",
    ]


@pytest.mark.parametrize("row", ["Well, I know,Ann,a", "hm,Ann,a,", '"so,Ann,a'])
def test_a_torn_row_is_no_line_of_a_dialogue(tmp_path: Path, row: str) -> None:
    first, torn, last = asked(tmp_path, f"text,speaker,dialogue\nhi,Ann,a\n{row}\nbye,Ben,a\n")
    assert torn.position is None
    assert torn.speaker is None
    assert last == Utterance("bye", "Ben", position=1, dialogue_length=2, context=(Line(first.text, first.speaker),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("words,mood\na,b\n", "found columns words, mood; expected clip or text, or both"),
        ("text,text\na,b\n", "found several columns text, expected one of each"),
        ("clip,text,clip \na,b,c\n", "found several columns clip"),
        ("", "found an empty file"),
    ],
)
def test_a_table_that_asks_nothing_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"in\.csv: .*{message}"):
        asked(tmp_path, content)


OWN = ["label", "p_anger", "p_joy", "unfamiliar", "note", "error"]


@pytest.mark.parametrize(
    ("headings", "names"),
    [
        (["text", "label", "id"], ["text", "input_label", "id"]),
        (["text", "p_joy", "error", "p_fear"], ["text", "input_p_joy", "input_error", "p_fear"]),
        (["label", "input_label", "text"], ["input_label", "input_input_label", "text"]),
        (["text", "x", "x", "note"], ["text", "x", "input_x", "input_note"]),
    ],
)
def test_columns_of_the_table_keep_their_cells_under_names_of_their_own(
    tmp_path: Path, headings: list[str], names: list[str]
) -> None:
    cells = [[f"{row}{column}" for column in range(len(headings))] for row in "ab"]
    (tmp_path / "in.csv").write_text("\n".join(map(",".join, [headings, *cells])) + "\n")
    table = read_questions(tmp_path / "in.csv")
    notes = write_answers(table, [ERROR, ANSWER], tmp_path / "out.csv")
    out = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert list(out.columns) == [*names, *OWN]
    assert out[names].to_numpy().tolist() == cells
    assert out["label"].tolist() == ["", "joy"]
    assert out["p_joy"].tolist() == ["", "0.75"]
    assert out["unfamiliar"].tolist() == ["", "audio"]
    assert out["error"].tolist() == ["clip: file not found", ""]
    pairs = zip(headings, names, strict=True)
    assert notes == [f"the table's column {old!r} is written as {new!r}" for old, new in pairs if old != new]


@pytest.fixture
def spoken_table(corpus: Path, tmp_path: Path) -> Path:
    """A dialogue of a clip without text, a text, a clip with its text and a clip that isn't there."""
    shutil.copy(corpus / "train_splits" / "dia0_utt0.mp4", tmp_path / "a.mp4")
    rows = [("a.mp4", "", "d"), ("", "Oh no.", "d"), ("a.mp4", "Oh no.", "d"), ("gone.mp4", "", "d")]
    pd.DataFrame(rows, columns=["clip", "text", "dialogue"]).to_csv(tmp_path / "in.csv", index=False)
    return tmp_path / "in.csv"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_rows_with_a_clip_and_no_text_are_heard_and_answered_as_if_their_words_were_given(
    spoken_table: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    out, again = spoken_table.with_name("out.csv"), spoken_table.with_name("again.csv")
    done = run("predict", "--csv", spoken_table, "--out", out, "--transcribe", "--model", bundle)
    assert done.exit_code == 0, done.output
    heard = pd.read_csv(out, keep_default_na=False)
    assert [bool(words) for words in heard["heard"]] == [True, False, False, False]
    assert list(heard["text"]) == ["", "Oh no.", "Oh no.", ""], "what was given stays as it was"
    assert list(heard["error"]) == ["", "", "", "clip: file not found"]
    table = pd.read_csv(spoken_table, keep_default_na=False)
    table.assign(text=[heard["heard"][0], *table["text"][1:]]).to_csv(spoken_table, index=False)
    assert run("predict", "--csv", spoken_table, "--out", again, "--model", bundle).exit_code == 0
    given = pd.read_csv(again, keep_default_na=False)
    pd.testing.assert_frame_equal(given.drop(columns="text"), heard.drop(columns=["text", "heard"]))


def test_the_words_that_were_heard_are_context_of_the_lines_after(
    spoken_table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Utterance] = []

    class Noting:
        def predict(self, utterances: list[Utterance]) -> list[Any]:
            asked.extend(utterances)
            raise DataError("enough")

    table = read_questions(spoken_table)
    with pytest.raises(DataError, match="enough"):
        list(answer_table(Noting(), table, spoken_table.parent, ("embedded", None)))  # type: ignore[arg-type]
    assert asked[0].text and [line.text for line in asked[2].context] == [asked[0].text, "Oh no."]


def test_where_the_answers_cannot_be_written_it_is_told_before_anything_is_answered(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text\nhi\n")
    for out in (tmp_path, tmp_path / "in.csv" / "out.csv", tmp_path / ("long" * 100)):
        done = run("predict", "--csv", tmp_path / "in.csv", "--out", out, "--model", "nowhere")
        assert done.exit_code == 2 and f"error: {out}: can't be written (" in done.stderr
        with pytest.raises(DataError, match="can't be written"):
            write_answers(read_questions(tmp_path / "in.csv"), [ANSWER], out)
    assert list(tmp_path.iterdir()) == [tmp_path / "in.csv"]


def test_cells_survive_the_way_there_and_back(tmp_path: Path) -> None:
    cells = ['say "hi", Ann', "two\nlines", "a;b\tc", "\u2028", " space ", "=1+1", ""]
    pd.DataFrame({"text": cells, "id": range(7)}).to_csv(tmp_path / "in.csv", index=False)
    table = read_questions(tmp_path / "in.csv")
    assert write_answers(table, [ANSWER] * 7, tmp_path / "out.csv") == []
    assert pd.read_csv(tmp_path / "out.csv", keep_default_na=False)["text"].tolist() == cells
