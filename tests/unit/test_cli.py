"""`emofuse predict` and `emofuse timeline`, on a real bundle."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from emofuse.cli import app
from tests.conftest import write_clip
from tests.pipeline.imports import ROOT
from tests.unit.test_visual import pair


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("film") / "a.mp4", seconds=2)


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_clips_are_answered_and_a_bad_one_is_an_error_in_its_place(bundle: Path, film: Path) -> None:
    done = run("predict", "nowhere.mp4", film, "--text", "Oh no.", "--json", "--model", bundle)
    first, second = map(json.loads, done.stdout.splitlines())
    assert first == {"clip": "nowhere.mp4", "error": "clip: file not found"}
    assert second["clip"] == str(film)
    assert sum(second["probabilities"].values()) == pytest.approx(1)
    assert sum(second["modalities"]["text"]["probabilities"].values()) == pytest.approx(1)
    assert second["modalities"]["visual"] == {
        "present": False,
        "reason": "no face found",
        "weight": 0,
        "unfamiliar": False,
        "probabilities": None,
    }
    assert done.exit_code == 1


def test_a_timeline_of_people_has_a_row_a_person_and_window(bundle: Path, tmp_path: Path) -> None:
    film = pair(tmp_path / "pair.mp4", 1)
    rows = list(csv.DictReader(io.StringIO(run("timeline", film, "--window", 1, "--people", "--model", bundle).stdout)))
    assert [(row["start"], row["person"]) for row in rows] == [(f"{n}.0", who) for n in range(3) for who in ("1", "2")]
    for left, right in zip(rows[::2], rows[1::2], strict=True):
        if float(left["left"]) > float(right["left"]):
            left, right = right, left
        assert float(left["left"]) + float(left["width"]) < 0.5 < float(right["left"])
        assert {left["speaker"], right["speaker"]} == {"True", "False"}
        assert bool(left["label"]) == (left["speaker"] == "True")
        assert 0.4 < float(left["confidence"]) <= 1 and 0 <= float(left["speaks"]) <= 1
    assert len({row["left"] > "0.5" for row in rows if row["person"] == "1"}) == 1
    lines = run("timeline", film, "--window", 1, "--people", "--json", "--model", bundle).stdout.splitlines()
    assert [{key: str(value) for key, value in json.loads(line).items()} for line in lines] == rows


def test_the_table_names_what_was_absent(bundle: Path) -> None:
    done = run("predict", "--text", "Oh no.", "--model", bundle)
    assert "without audio, visual, metadata" in done.stdout
    assert done.exit_code == 0


def test_an_answer_from_nothing_is_told_and_no_success(bundle: Path, film: Path, tmp_path: Path) -> None:
    mute = write_clip(tmp_path / "mute.mp4", tone=None)
    silent = write_clip(tmp_path / "silent.wav", video=False, tone=1e-9, codec="pcm_s16le")
    for clip in (mute, silent):
        done = run("predict", clip, "--json", "--model", bundle)
        answer = json.loads(done.stdout)
        assert (answer["uncertain"], answer["note"]) == (True, "nothing to answer from")
        assert f"{clip}: nothing to answer from" in done.stderr
        assert done.exit_code == 1
    assert "nothing to answer from" in run("predict", mute, "--model", bundle).stdout
    assert run("predict", film, "--model", bundle).exit_code == 0


def test_a_clip_that_the_system_cannot_look_at_is_an_error_in_its_place(bundle: Path, tmp_path: Path) -> None:
    rows = pd.DataFrame([("", "hello"), ("word " * 80, "moved by a column"), ("", "bye")], columns=["clip", "text"])
    rows.to_csv(tmp_path / "in.csv", index=False)
    done = run("predict", "--csv", tmp_path / "in.csv", "--out", tmp_path / "out.csv", "--model", bundle)
    assert done.exit_code == 0, done.output
    out = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert [bool(error) for error in out["error"]] == [False, True, False]
    assert out["error"][1] == "clip: can't be read: File name too long"


def test_rows_keep_their_order_and_dialogues_their_context(bundle: Path, film: Path, tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {
            "clip": [film.name, "", "gone.mp4"],
            "text": ["Hi", "Oh, no", "x"],
            "dialogue": ["a", "a", ""],
            "id": list("xyz"),
        }
    )
    rows.to_csv(film.parent / "in.csv", index=False)
    done = run("predict", "--csv", film.parent / "in.csv", "--out", tmp_path / "out.csv", "--model", bundle)
    assert "3 rows, 1 with an error" in done.stdout
    out = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert out["id"].tolist() == list("xyz")
    assert out["error"].tolist() == ["", "", "clip: file not found"]
    assert all(out["label"][:2])
    assert list(tmp_path.iterdir()) == [tmp_path / "out.csv"]


def test_a_table_as_users_have_it_is_answered_and_nothing_of_it_is_lost(bundle: Path, tmp_path: Path) -> None:
    text = 'text;label;who\r\nÇa va?;truth;Ann;\r\nno\u2028really;lie;Ben;\r\na;b;c;d\r\n"so "they" said";x;y;\r\n'
    (tmp_path / "in.csv").write_bytes(text.encode("utf-16"))
    done = run("predict", "--csv", tmp_path / "in.csv", "--out", tmp_path / "out.csv", "--model", bundle)
    assert done.exit_code == 0, done.stderr
    assert "4 rows, 1 with an error" in done.stdout
    assert "the table's column 'label' is written as 'input_label'" in done.stderr
    out = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert out["text"].tolist() == ["Ça va?", "no\u2028really", "a", 'so "they" said']
    assert out["input_label"].tolist() == ["truth", "lie", "b", "x"]
    assert [bool(label) for label in out["label"]] == [True, True, False, True]
    assert out["error"].tolist()[2].startswith("found 4 fields, expected 3; put")
    assert ["quotes" in note for note in out["note"]] == [False, False, False, True]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict"], "found nothing to answer"),
        (["predict", "--csv", "a.csv"], "found one of --csv and --out"),
        (["predict", "--csv", "a.csv", "--out", "b.csv"], "a.csv: no such file"),
        (["timeline", "README.md"], "README.md: can't be decoded"),
        (["timeline", "README.md", "--transcript", "README.md"], "README.md: "),
    ],
)
def test_a_mistake_is_told_without_a_stack_trace(bundle: Path, words: list[str], message: str) -> None:
    done = run(*words, "--model", bundle)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_long_video_is_answered_window_by_window(bundle: Path, film: Path) -> None:
    done = run("timeline", film, "--window", 1, "--json", "--model", bundle)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["start"], answer["end"]) for answer in answers] == [(0, 1), (1, 2)]
    assert all(answer["modalities"]["audio"]["present"] for answer in answers)


@pytest.mark.parametrize(("start", "words"), [(0.4, []), (0.6, ["--json"]), (0.5, ["--json"])])
def test_a_video_that_breaks_off_gives_its_windows_and_no_success(
    bundle: Path, tmp_path: Path, start: float, words: list[str]
) -> None:
    video = write_clip(tmp_path / "a.mp4", seconds=5)
    data = video.read_bytes()
    first, last = round(len(data) * start), round(len(data) * (start + 0.1))
    video.write_bytes(data[:first] + bytes(last - first) + data[last:])
    done = run("timeline", video, "--window", 0.5, *words, "--model", bundle)
    lines = done.stdout.splitlines()
    assert done.exit_code == 2
    assert f"{video}: damaged after " in done.stderr
    assert 1 <= len(lines) < 10
    if words:
        *answers, end = map(json.loads, lines)
        assert [answer["start"] for answer in answers] == [number / 2 for number in range(len(answers))]
        assert end["error"].startswith("damaged after ")


def test_a_video_over_the_limit_gives_its_windows_and_no_success(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds, window in ((6, 1), (3, 0.5)):
        params = (ROOT / "params.yaml").read_text(encoding="utf-8")
        shorter = re.sub(r"timeline_seconds: [0-9.]+", f"timeline_seconds: {seconds / 2}", params)
        (tmp_path / "params.yaml").write_text(shorter, encoding="utf-8")
        video = write_clip(tmp_path / "a.mp4", seconds=seconds)
        monkeypatch.chdir(tmp_path)
        done = run("timeline", video, "--window", window, "--json", "--model", bundle)
        *answers, end = map(json.loads, done.stdout.splitlines())
        assert len(answers) >= 2
        assert end == {"error": f"longer than {seconds / 2:g} s; cut it into utterances"}
        assert done.exit_code == 2


@pytest.mark.parametrize("seconds", [2, 3])
def test_a_video_whose_header_gives_no_length_is_answered(bundle: Path, tmp_path: Path, seconds: int) -> None:
    done = run(
        "timeline",
        write_clip(tmp_path / "a.h264", seconds=seconds, tone=None),
        "--window",
        1,
        "--json",
        "--model",
        bundle,
    )
    assert done.exit_code == 0, done.stderr
    assert len(done.stdout.splitlines()) == seconds
