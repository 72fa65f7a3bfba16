"""Long films without a transcript: speech makes the windows, and what is heard the words."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from emofuse.cli import app
from emofuse.core.errors import DataError, MediaError
from emofuse.inference.hearing import _ahead as hearing_ahead
from emofuse.inference.subtitles import write_timeline
from emofuse.inference.transcript import read_transcript
from emofuse.media.clip import FileClip
from emofuse.transcription import film
from emofuse.transcription.film import heard_lines
from emofuse.transcription.recogniser import Recogniser, load_recogniser
from emofuse.transcription.speakers import Voices
from emofuse.transcription.voice_activity import RATE
from emofuse.transcription.words import HeardLine, Word
from tests.clips import write_samples
from tests.conftest import write_clip
from tests.pipeline.imports import ROOT

GAP = 0.6  # seconds of silence between two clips


@pytest.fixture(scope="module")
def embedded() -> Recogniser:
    return load_recogniser("embedded", None, "cpu")


@pytest.fixture(scope="module")
def dialogue(corpus: Path) -> tuple[np.ndarray, list[float]]:
    """Five clips with silence between them, and when the sound of each begins and ends."""
    parts: list[np.ndarray] = []
    moments, now = [], 0.0
    sounds = []
    for path in sorted(corpus.rglob("train*/*.mp4"))[:12]:
        with suppress(MediaError):  # some are broken on purpose
            sounds.append(FileClip(path).sound(RATE))
    for sound in [sound for sound in sounds if np.abs(sound).max() > 0.01][:5]:
        loud = np.flatnonzero(np.abs(sound) > 0.05 * np.abs(sound).max()) / RATE
        moments += [now + GAP + float(loud[0]), now + GAP + float(loud[-1])]
        parts += [np.zeros(round(GAP * RATE), np.float32), sound]
        now += GAP + len(sound) / RATE
    return np.concatenate(parts), moments


def in_parts(sound: np.ndarray, size: int) -> list[np.ndarray]:
    return [sound[start : start + size] for start in range(0, len(sound), size)]


@pytest.fixture(scope="module")
def lines(dialogue: tuple[np.ndarray, list[float]], embedded: Recogniser) -> list[HeardLine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film, "BLOCK", 7.0)
        return list(heard_lines(in_parts(dialogue[0], 1000), embedded))


def test_every_line_of_a_film_begins_and_ends_within_half_a_second(
    dialogue: tuple[np.ndarray, list[float]], lines: list[HeardLine]
) -> None:
    edges = np.array([time for line in lines for time in (line.start, line.end)])
    assert max(np.abs(edges - moment).min() for moment in dialogue[1]) < 0.5


def test_lines_follow_each_other_and_hold_their_words(lines: list[HeardLine]) -> None:
    assert all(first.end <= second.start for first, second in pairwise(lines))
    assert sum(bool(line.words) for line in lines) >= 3
    for line in lines:
        assert all(line.start <= word.start <= word.end <= line.end for word in line.words)
        assert bool(line.words) != bool(line.reason)


def test_what_is_heard_does_not_depend_on_how_the_sound_comes(
    dialogue: tuple[np.ndarray, list[float]],
    lines: list[HeardLine],
    embedded: Recogniser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(film, "BLOCK", 7.0)
    assert list(heard_lines([dialogue[0]], embedded)) == lines


def test_the_voice_of_a_line_is_that_of_its_own_sound(dialogue: tuple[np.ndarray, list[float]]) -> None:
    sound = dialogue[0]
    voices = Voices("none", lambda own: own.astype(float), "euclidean", "ward", 1.0)
    told = list(heard_lines(in_parts(sound, 1000), Numbering(), voices))  # type: ignore[arg-type]
    assert len(told) >= 3
    for line in told:
        assert line.voice is not None and len(line.voice) == pytest.approx(RATE * (line.end - line.start), abs=1)
        first = round(line.start * RATE)
        np.testing.assert_array_equal(line.voice, sound[first : first + len(line.voice)])


class Numbering:
    """Hears a word a second."""

    def recognise(self, sounds: Sequence[np.ndarray]) -> list[list[Word]]:
        return [[Word("word", s, s + 0.5, 0.9) for s in range(len(sound) // RATE)] for sound in sounds]


def test_lines_are_told_while_the_film_goes_on(dialogue: tuple[np.ndarray, list[float]]) -> None:
    heard = 0.0

    def endless() -> object:
        nonlocal heard
        while True:
            for part in in_parts(dialogue[0], RATE):
                heard += len(part) / RATE
                yield part

    coming = heard_lines(endless(), Numbering())  # type: ignore[arg-type]
    for _ in range(30):
        assert heard - next(coming).end < 3 * film.BLOCK


def test_speech_without_a_pause_is_cut_and_none_of_it_lost(
    dialogue: tuple[np.ndarray, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film, "LONGEST_LINE", 1.0)
    cut = list(heard_lines([dialogue[0]], Numbering()))  # type: ignore[arg-type]
    assert all(line.end - line.start <= 1.0 + 1e-6 for line in cut)
    monkeypatch.setattr(film, "LONGEST_LINE", 15.0)
    whole = list(heard_lines([dialogue[0]], Numbering()))  # type: ignore[arg-type]
    assert sum(line.end - line.start for line in cut) == pytest.approx(sum(line.end - line.start for line in whole))


@pytest.mark.parametrize("level", [0.0, 0.001, 0.3])
def test_silence_and_noise_have_no_lines(level: float) -> None:
    noise = level * np.random.default_rng(5).normal(size=30 * RATE).astype(np.float32)
    assert list(heard_lines(in_parts(noise, 5000), Numbering())) == []  # type: ignore[arg-type]


@pytest.fixture
def hearing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which params name a recogniser."""
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    named = params.replace("  recogniser: null # that hears", "  recogniser: embedded # that hears")
    assert named != params
    (tmp_path / "params.yaml").write_text(named, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_film_without_a_transcript_is_answered_line_by_line(
    bundle: Path, hearing: Path, dialogue: tuple[np.ndarray, list[float]]
) -> None:
    path = write_samples(hearing / "film.wav", dialogue[0][None], "pcm_s16le")
    done = run("timeline", path, "--transcribe", "--json", "--model", bundle, "--out", "a.json")
    assert done.exit_code == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    written = json.loads((hearing / "a.json").read_text(encoding="utf-8"))
    assert [{name: row[name] for name in row if name != "people"} for row in written] == answers
    words = [answer for answer in answers if answer["text"]]
    assert len(words) >= 3
    for answer in words:
        heard = answer["heard"]
        assert (heard["text"], heard["recogniser"]) == (answer["text"], "embedded")
        assert 0 < heard["confidence"] <= 1
        assert [word["text"] for word in heard["words"]] == answer["text"].split()
        assert answer["modalities"]["text"]["present"] and answer["modalities"]["audio"]["present"]
        assert answer["modalities"]["metadata"]["present"]
    assert [(line.text, line.start) for line in read_transcript(hearing / "a.json").lines] == [
        (answer["text"], answer["start"]) for answer in words
    ]


def test_a_film_without_speech_says_so(bundle: Path, hearing: Path) -> None:
    done = run("timeline", write_clip(hearing / "a.mp4", seconds=2), "--transcribe", "--model", bundle)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "a.mp4: no speech in the sound" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--transcribe"], "a.mp4: no sound track"),
        (["--transcribe", "--window", "2"], "expected one way to cut the video"),
        (["--out", "a.txt"], "found 'a.txt', expected a name that ends in .srt, .vtt, .csv, .json"),
    ],
)
def test_what_cannot_be_transcribed_is_told(bundle: Path, hearing: Path, words: list[str], message: str) -> None:
    done = run("timeline", write_clip(hearing / "a.mp4", tone=None), *words, "--model", bundle)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize("words", [[], ["--speakers"]])
def test_a_film_that_breaks_off_gives_the_lines_before_that_and_no_success(
    bundle: Path, hearing: Path, dialogue: tuple[np.ndarray, list[float]], words: list[str]
) -> None:
    path = write_samples(hearing / "film.flac", dialogue[0][None], "flac")
    data = path.read_bytes()
    path.write_bytes(data[: round(0.6 * len(data))])
    done = run("timeline", path, "--transcribe", *words, "--json", "--model", bundle, "--out", "a.json")
    *answers, end = map(json.loads, done.stdout.splitlines())
    assert done.exit_code == 2 and f"{path}: damaged after " in done.stderr
    assert end["error"].startswith("damaged after ")
    assert len([answer for answer in answers if answer["text"]]) >= 2
    assert all(("speaker" in answer) == bool(words) for answer in answers)
    written = json.loads((hearing / "a.json").read_text(encoding="utf-8"))
    assert [row["start"] for row in written] == [answer["start"] for answer in answers]


def test_a_film_of_which_nothing_was_answered_leaves_an_earlier_file_alone(bundle: Path, hearing: Path) -> None:
    (hearing / "a.json").write_text("[]")
    done = run("timeline", "nowhere.mp4", "--transcribe", "--model", bundle, "--out", "a.json")
    assert done.exit_code == 2 and (hearing / "a.json").read_text() == "[]"


def test_who_stops_a_film_waits_for_no_line_that_is_being_heard() -> None:
    heard, go_on = [], threading.Event()

    def slow() -> Iterator[HeardLine]:
        for second in range(100):
            heard.append(second)
            yield HeardLine(second, second + 1)
            go_on.wait(60)

    coming = hearing_ahead(slow())
    next(coming)
    began = time.monotonic()
    coming.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 10
    go_on.set()
    time.sleep(0.2)
    assert len(heard) <= 2


def test_where_none_is_named_the_embedded_recogniser_hears_if_it_is_installed(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    path = write_clip(tmp_path / "a.mp4", seconds=2)
    done = run("timeline", path, "--transcribe", "--model", bundle)
    assert done.exit_code == 0 and "a.mp4: no speech in the sound" in done.stderr
    done = run("predict", path, "--transcribe", "--json", "--model", bundle)
    assert json.loads(done.stdout)["heard"]["recogniser"] == "embedded"


def test_without_a_recogniser_it_is_told_what_to_name(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("emofuse.inference.heard.find_spec", lambda name: None)
    done = run("timeline", "README.md", "--transcribe", "--model", bundle)
    assert done.exit_code == 2
    assert "name one as serve.recogniser in params.yaml, such as embedded" in done.stderr


ANSWERS = [
    {
        "start": 0.5,
        "end": 2.25,
        "speaker": "speaker 1",
        "text": "We won, {at} last!",
        "heard": {"confidence": 0.9},
        "label": "joy",
        "probabilities": {"joy": 0.834, "anger": 0.166},
        "modalities": {"text": {"unfamiliar": True}, "audio": {"unfamiliar": None}, "visual": {"unfamiliar": True}},
    },
    {
        "start": 3.0,
        "end": 4.0,
        "text": "",
        "label": "anger",
        "probabilities": {"joy": 0.2, "anger": 0.8},
        "modalities": {"audio": {"unfamiliar": False}},
    },
]


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_subtitles_show_the_label_and_give_the_words_back(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    write_timeline(path, ANSWERS)
    content = path.read_text(encoding="utf-8")
    assert "[joy 83%] We won, (at) last!" in content and "[anger 80%]" in content
    [line] = read_transcript(path).lines
    assert (line.text, line.start, line.end) == ("We won, (at) last!", 0.5, 2.25)


def test_a_table_has_a_row_a_window(tmp_path: Path) -> None:
    write_timeline(tmp_path / "a.csv", ANSWERS)
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["text"], first["speaker"], first["confidence"], first["label"]) == (
        "We won, {at} last!", "speaker 1", "0.9", "joy",
    )  # fmt: skip
    assert (second["text"], second["confidence"], second["p_anger"]) == ("", "", "0.8")
    assert (first["unfamiliar"], second["unfamiliar"]) == ("text, visual", "")


def test_a_picture_has_a_line_a_class_through_the_middles_of_the_windows(tmp_path: Path) -> None:
    named = [{**each, "probabilities": {"<joy>": 0.75, "anger": 0.25}} for each in ANSWERS]
    write_timeline(tmp_path / "a.svg", named)
    picture = ElementTree.parse(tmp_path / "a.svg").getroot()
    space = "{http://www.w3.org/2000/svg}"
    joy, _ = (line.get("points") for line in picture.iter(f"{space}polyline"))
    assert joy == "307.2,74.0 711.0,74.0"  # (0.5 + 2.25) / 2 and 3.5 of 4 s, 0.75 of the height
    words = [text.text for text in picture.iter(f"{space}text")]
    assert words[-2:] == ["<joy> 75%", "anger 25%"]
    assert {"0.0 s", "4.0 s", "100%"} <= set(words)
    write_timeline(tmp_path / "a.svg", [])  # no speech in the sound, say
    assert "polyline" not in (tmp_path / "a.svg").read_text()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be written"):
        write_timeline(tmp_path / "file" / "a.srt", ANSWERS)
