"""Who says which line of a film: voices as vectors, and what is made of them."""

from __future__ import annotations

import csv
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from transformers import Wav2Vec2Config, Wav2Vec2Model

from emofuse.core.errors import EncoderError, MediaError
from emofuse.inference.subtitles import write_timeline
from emofuse.inference.transcript import parse_transcript, read_transcript
from emofuse.media.clip import FileClip
from emofuse.transcription.speakers import HAND_MADE, Voices, group_voices, load_voices, with_speakers
from emofuse.transcription.voice_activity import RATE
from emofuse.transcription.words import HeardLine
from tests.classifiers import WAVES, save_speaker_model
from tests.clips import write_samples
from tests.unit.test_film import ANSWERS, hearing, run  # noqa: F401

GAP = np.zeros(round(0.6 * RATE), np.float32)


@pytest.fixture(scope="module")
def takes(corpus: Path) -> list[tuple[str, np.ndarray]]:
    """Six lines of two speakers of the built-in corpus, in turns."""
    with (corpus / "train_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines: dict[str, list[np.ndarray]] = {}
    for row in rows:
        clip = corpus / "train_splits" / f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4"
        with suppress(MediaError):  # some are broken on purpose
            sound = FileClip(clip).sound(RATE)
            if np.abs(sound).max() > 0.01:
                lines.setdefault(row["Speaker"], []).append(sound)
    first, second = sorted((name for name in lines if len(lines[name]) >= 3), key=lambda name: -len(lines[name]))[:2]
    return [(name, lines[name][number]) for number in range(3) for name in (first, second)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of speakers."""
    return Path(save_speaker_model(tmp_path_factory.mktemp("speakers") / "model"))


def two_groups(count: int | None, seconds: list[float] | None = None) -> list[int]:
    vectors = np.array([[0.0, 9], [9, 0], [0.1, 9], [9, 0.1], [0, 9.1]])
    voices = Voices("none", lambda sound: vectors[0], "euclidean", "ward", 1.0)
    return group_voices(vectors, np.array(seconds or [2.0] * 5), voices, count)


@pytest.mark.parametrize("count", [None, 2])
def test_speakers_are_numbered_in_order_of_appearance(count: int | None) -> None:
    assert two_groups(count) == [1, 2, 1, 2, 1]


def test_as_many_speakers_as_asked_for_are_told_but_no_more_than_there_are_lines() -> None:
    assert set(two_groups(1)) == {1}
    assert sorted(two_groups(9)) == [1, 2, 3, 4, 5]


def test_a_short_line_joins_the_nearest_speaker_and_makes_none_of_its_own() -> None:
    voices = Voices("none", lambda sound: np.zeros(1), "cosine", "average", 0.1)
    vectors, seconds = np.array([[0.0, 1], [1, 0], [0.6, 1], [0, 2], [2, 0]]), np.array([2, 2, 0.4, 2, 2])
    assert group_voices(vectors, seconds, voices) == [1, 2, 1, 1, 2]
    assert group_voices(vectors, seconds + 2, voices) == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("count", [0, 1])
def test_a_film_of_one_line_or_none_needs_no_comparison(count: int) -> None:
    voices = load_voices(None, "cpu")
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    lines = [HeardLine(0.0, 1.0, voice=voices.vector(noise))] * count
    assert [line.speaker for line in with_speakers(lines, voices)] == ["speaker 1"] * count


def test_a_voice_without_direction_is_a_speaker_of_its_own() -> None:
    voices = Voices("none", lambda sound: np.zeros(2), "cosine", "average", 0.1)
    vectors = np.array([[0.0, 1], [0, 0], [0, 2]])
    assert group_voices(vectors, np.array([2.0] * 3), voices) == [1, 2, 1]


def failing(sound: np.ndarray) -> np.ndarray:
    raise RuntimeError("not enough memory")


def test_a_line_whose_voice_could_not_be_told_is_said_by_who_spoke_before() -> None:
    voices = Voices("none", failing, "euclidean", "ward", 1.0)
    assert voices.of(np.zeros(RATE, np.float32)) is None
    told = [None, np.array([0.0, 9]), None, np.array([9.0, 0]), None]
    lines = [HeardLine(2.0 * number, 2.0 * number + 2, voice=voice) for number, voice in enumerate(told)]
    assert [line.speaker for line in with_speakers(lines, voices)] == [f"speaker {n}" for n in (1, 1, 1, 2, 2)]
    assert {line.speaker for line in with_speakers([lines[0]] * 2, voices)} == {"speaker 1"}


def test_hand_made_features_tell_two_synthetic_voices_apart(takes: list[tuple[str, np.ndarray]]) -> None:
    voices = load_voices(None, "cpu")
    starts = [3.0 * number for number in range(len(takes))]
    lines = [HeardLine(at, at + 2, voice=voices.vector(take[1])) for at, take in zip(starts, takes, strict=True)]
    apart = with_speakers(lines, voices, 2)
    assert adjusted_rand_score([name for name, _ in takes], [line.speaker for line in apart]) == 1.0
    assert apart[0].speaker == "speaker 1"


def test_a_model_gives_a_sound_one_vector_whatever_its_length(model: Path) -> None:
    voices = load_voices(str(model), "cpu")
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)
    vectors = [voices.vector(noise[:length]) for length in (RATE // 10, RATE, 3 * RATE)]
    assert [vector.shape for vector in vectors] == [(12,)] * 3
    assert np.isfinite(vectors).all()
    np.testing.assert_array_equal(voices.vector(noise), vectors[2])
    assert voices.name == str(model)


def saved_otherwise(folder: Path, model: Path, kind: str) -> str:
    if kind == "other":
        Wav2Vec2Model(Wav2Vec2Config(**WAVES)).save_pretrained(folder)
    if kind == "pickle":
        folder.mkdir()
        for name in ("config.json", "preprocessor_config.json"):
            (folder / name).write_bytes((model / name).read_bytes())
        torch.save({}, folder / "pytorch_model.bin")
    return str(folder)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("none", "serve.speakers '.*' can't be loaded: .*expected null, a folder that save_pretrained wrote"),
        ("other", "is a Wav2Vec2Model; expected a model of speakers"),
        ("pickle", "Weights are read from safetensors alone"),
    ],
)
def test_what_is_no_model_of_speakers_is_named_with_what_is_expected(
    tmp_path: Path, model: Path, kind: str, message: str
) -> None:
    with pytest.raises(EncoderError, match=message):
        load_voices(saved_otherwise(tmp_path / "model", model, kind), "cpu")


@pytest.mark.parametrize("named", ["null", "a model"])
def test_a_film_is_answered_with_its_speakers(
    bundle: Path,
    hearing: Path,  # noqa: F811
    model: Path,
    takes: list[tuple[str, np.ndarray]],
    named: str,
) -> None:
    params = hearing / "params.yaml"
    if named == "a model":
        text = params.read_text(encoding="utf-8").replace("  speakers: null", f"  speakers: {model}")
        params.write_text(text, encoding="utf-8")
    sound = np.concatenate([part for _, take in takes[:4] for part in (GAP, take)])
    path = write_samples(hearing / "film.wav", sound[None], "pcm_s16le")
    options = ("--transcribe", "--speaker-count", 2, "--json", "--model", bundle, "--out", "a.vtt")
    done = run("timeline", path, *options)
    assert done.exit_code == 0, done.stderr
    answers: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    name = HAND_MADE if named == "null" else str(model)
    assert f"speakers are told apart by {name}" in done.stderr
    assert {answer["voices"] for answer in answers} == {name}
    assert {answer["speaker"] for answer in answers} == {"speaker 1", "speaker 2"}
    assert answers[0]["speaker"] == "speaker 1"
    said = [(answer["text"], answer["speaker"]) for answer in answers if answer["text"]]
    assert [(line.text, line.speaker) for line in read_transcript(hearing / "a.vtt").lines] == said


def test_speakers_need_heard_lines(bundle: Path, hearing: Path) -> None:  # noqa: F811
    done = run("timeline", "README.md", "--speakers", "--model", bundle)
    assert done.exit_code == 2
    assert "found --speakers without --transcribe; expected both" in done.stderr


@pytest.mark.parametrize(("kind", "start"), [("srt", "speaker 1: [joy 83%] We"), ("vtt", "<v speaker 1>[joy 83%] We")])
def test_subtitles_show_who_speaks_and_give_it_back(tmp_path: Path, kind: str, start: str) -> None:
    path = tmp_path / f"a.{kind}"
    write_timeline(path, ANSWERS)
    assert start in path.read_text(encoding="utf-8")
    [line] = read_transcript(path).lines
    assert (line.speaker, line.text) == ("speaker 1", "We won, (at) last!")


def test_the_voices_of_any_webvtt_are_its_speakers() -> None:
    lines = "00:01.000 --> 00:02.000\n<v.loud Ann Lee>We <b>won</b>!</v>\n\n00:03.000 --> 00:04.000\nNote: all of us.\n"
    transcript = parse_transcript(f"WEBVTT\n\n{lines}")
    assert [(line.speaker, line.text) for line in transcript.lines] == [
        ("Ann Lee", "We won!"),
        (None, "Note: all of us."),
    ]
