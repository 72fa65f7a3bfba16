from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from emofuse.core.errors import DataError
from emofuse.core.params import Params, TextParams
from emofuse.datasets.transcripts import (
    COLUMNS,
    add_transcripts,
    read_transcripts,
    transcript_findings,
    update_transcripts,
)
from emofuse.extraction.identity import identity

HASHES = {1: "a" * 64, 2: "b" * 64, 3: "c" * 64}


def heard(**texts: str) -> pd.DataFrame:
    """Rows of utterances u1, u2, ... in which these words were heard."""
    rows = []
    for name, text in texts.items():
        number = int(name[1:])
        row = dict.fromkeys(COLUMNS, "") | {"split": "train", "dialogue": "0", "utterance": number}
        reason = "" if text else "no speech in the sound"
        rows.append(row | {"text": text, "heard": text, "reason": reason, "clip_sha256": HASHES[number]})
    return pd.DataFrame(rows, columns=COLUMNS)


def manifest(**texts: str) -> pd.DataFrame:
    rows = [
        {"split": "train", "dialogue": "0", "utterance": int(name[1:]), "text": text, "clean_text": text}
        | {"clip_sha256": HASHES[int(name[1:])]}
        for name, text in texts.items()
    ]
    return pd.DataFrame(rows)


def correct(path: Path, before: str, after: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, after, 1), encoding="utf-8")


def texts(path: Path, **given: str) -> list[str]:
    return add_transcripts(manifest(**given), path, "missing")["text"].tolist()


def test_what_was_heard_stands_where_no_text_was_given(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    update_transcripts(path, heard(u1="hello you", u2=""))
    assert texts(path, u1="", u2="", u3="given") == ["hello you", "", "given"]


@pytest.mark.parametrize(
    ("when", "wanted"),
    [("never", ["", "given"]), ("missing", ["one", "given"]), ("always", ["one", "two"])],
)
def test_a_given_text_gives_way_only_where_all_is_transcribed(tmp_path: Path, when: str, wanted: list[str]) -> None:
    path = tmp_path / "transcripts.csv"
    update_transcripts(path, heard(u1="one", u2="two"))
    assert add_transcripts(manifest(u1="", u2="given"), path, when)["text"].tolist() == wanted


@pytest.mark.parametrize("words", ["hello, “you”; two", "naïve\n語", "", "he said hi"])
def test_a_correction_wins_and_stays_whatever_is_heard_next(tmp_path: Path, words: str) -> None:
    path = tmp_path / "transcripts.csv"
    update_transcripts(path, heard(u1="hollow yew", u2="second"))
    table = read_transcripts(path)
    table.loc[0, "text"] = words
    table.to_csv(path, index=False)
    for again in ("hollow yew", "hello yew"):
        update_transcripts(path, heard(u1=again, u2="second"))
        assert texts(path, u1="", u2="") == [words, "second"]


def test_a_correction_outlives_a_recogniser_that_agrees_with_it(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    update_transcripts(path, heard(u1="I sea you", u2="second"))
    table = read_transcripts(path)
    table.loc[0, "text"] = "I see you"
    table.to_csv(path, index=False)
    for again in ("I see you", "Icy you", "I see you", "I sea you"):
        update_transcripts(path, heard(u1=again, u2="second"))
        assert texts(path, u1="", u2="") == ["I see you", "second"]


def test_a_table_that_people_saved_their_own_way_is_read(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    update_transcripts(path, heard(u1="one", u2="two"))
    lines = path.read_text().replace(",one,one", ",café,one").replace(",", ";")
    path.write_bytes(("\ufeff" + lines.replace("\n", "\r\n")).encode("utf-8"))
    assert texts(path, u1="", u2="") == ["café", "two"]


def test_a_correction_outlives_other_data_and_is_of_its_own_clip(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    update_transcripts(path, heard(u1="won", u2="two"))
    correct(path, ",won,won", ",one,won")
    update_transcripts(path, heard(u3="three"))  # the other clips are not in the data now
    update_transcripts(path, heard(u1="won").assign(clip_sha256="d" * 64))  # another clip stands in the row
    assert texts(path, u1="") == ["one"]
    other = manifest(u1="").assign(clip_sha256="d" * 64)
    assert add_transcripts(other, path, "missing")["text"].tolist() == ["won"]


def test_a_row_put_in_by_hand_counts(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    path.write_text("split,dialogue,utterance,text,heard\ntrain,0,1,by hand,\n")
    update_transcripts(path, heard(u1="", u2="two"))
    assert texts(path, u1="", u2="") == ["by hand", "two"]


def test_rows_whose_words_were_heard_or_corrected_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    update_transcripts(path, heard(u1="one", u2=""))
    assert add_transcripts(manifest(u1="", u2="", u3="given"), path, "missing")["heard"].tolist() == [
        True,
        False,
        False,
    ]
    assert not add_transcripts(manifest(u1=""), path, "never")["heard"].any()


def test_the_report_counts_what_was_heard_and_shows_the_least_sure_first(params: Params, tmp_path: Path) -> None:
    hearing = params.text.model_copy(update={"recogniser": "embedded"})
    path, now = tmp_path / "transcripts.csv", heard(u1="won", u2="two", u3="")
    now["confidence"] = ["0.5", "0.25", ""]
    update_transcripts(path, now)
    rows = manifest(u1="", u2="", u3="")
    findings = transcript_findings(rows, path, hearing)
    place = {"split": "train", "dialogue": "0"}
    assert findings == {
        "recogniser": "embedded",
        "rows": 2,
        "corrected": 0,
        "confidence": 0.375,
        "no_words": {"no speech in the sound": 1},
        "least_sure": [
            {**place, "utterance": 2, "text": "two", "confidence": 0.25},
            {**place, "utterance": 1, "text": "won", "confidence": 0.5},
        ],
    }
    assert json.loads(json.dumps(findings)) == findings
    correct(path, ",two,two", ",too,two")
    findings = transcript_findings(rows, path, hearing)
    assert (findings["rows"], findings["corrected"], findings["confidence"]) == (2, 1, 0.5)
    assert [row["text"] for row in findings["least_sure"]] == ["won"]


@pytest.mark.parametrize("when", ["never", "missing"])
def test_the_report_has_nothing_to_say_of_rows_with_texts_of_their_own(
    params: Params, tmp_path: Path, when: str
) -> None:
    path = tmp_path / "transcripts.csv"
    if when == "never":
        update_transcripts(path, heard(u1="one", u2=""))
    findings = transcript_findings(
        manifest(u1="given", u2="given"), path, params.text.model_copy(update={"transcribe": when})
    )
    assert findings == {
        "recogniser": None,
        "rows": 0,
        "corrected": 0,
        "confidence": None,
        "no_words": {},
        "least_sure": [],
    }


def test_where_nobody_listens_the_table_is_its_heading(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    for _ in range(2):
        update_transcripts(path, heard())
        assert path.read_text() == ",".join(COLUMNS) + "\n" and texts(path, u1="", u2="given") == ["", "given"]


def test_writing_twice_changes_no_byte(tmp_path: Path) -> None:
    path = tmp_path / "transcripts.csv"
    update_transcripts(path, heard(u2="two", u1="won"))
    correct(path, ",won,won", ",one,won")
    update_transcripts(path, heard(u2="two", u1="won"))
    first = path.read_bytes()
    update_transcripts(path, heard(u1="won", u2="two"))
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("split,dialogue,utterance,text\ntrain,0,1,a\n", "heard"),
        ("split,dialogue,utterance,text,heard\ntrain,0,one,a,b\n", "row 1: utterance is 'one', expected a number"),
        (
            "split,dialogue,utterance,text,heard\ntrain,0,1,a,b\ntrain,0,1,c,b\n",
            "row 2: its utterance stands in several",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_left_as_it_is(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "transcripts.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=problem):
        update_transcripts(path, heard(u1="one"))
    assert path.read_text() == content


@pytest.mark.parametrize("change", [{"recogniser": "embedded"}, {"language": "de"}, {"transcribe": "never"}])
def test_who_listens_changes_no_feature_of_the_words(params: Params, change: dict[str, str]) -> None:
    assert identity("text", params.text.model_copy(update=change)) == identity("text", params.text)


@pytest.mark.parametrize("change", [{"recogniser": "openai/whisper-base"}, {"language": "en"}])
def test_another_recogniser_or_language_hears_again(params: Params, change: dict[str, str]) -> None:
    first = params.text.model_copy(update={"recogniser": "embedded"})
    assert identity("transcript", first.model_copy(update=change)) != identity("transcript", first)
    assert identity("transcript", first.model_copy(update={"max_tokens": 64})) == identity("transcript", first)


def test_always_without_a_recogniser_is_refused(params: Params) -> None:
    with pytest.raises(ValidationError, match="transcribe is always, but recogniser is null"):
        TextParams.model_validate(params.text.model_dump() | {"transcribe": "always"})
