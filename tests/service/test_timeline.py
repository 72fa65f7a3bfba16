from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from emofuse.core.params import Params
from emofuse.core.records import Utterance
from emofuse.features.registry import make_extractor
from emofuse.media.windows import Look, cut_windows
from tests.conftest import write_clip
from tests.unit.test_visual import pair

SRT = "1\n00:00:00,500 --> 00:00:02,000\nYou got the job!\n\n2\n00:00:02,500 --> 00:00:04,000\nI <i>did</i>?\n"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_clip(tmp_path_factory.mktemp("film") / "a.mp4", seconds=5).read_bytes()


def lines(client: TestClient, video: bytes, **form: Any) -> list[dict[str, Any]]:
    answer = client.post("/timeline", files={"video": video}, data=form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_windows_are_answered_in_order_and_counted(client: TestClient, film: bytes) -> None:
    *answers, end = lines(client, film, window=2, hop=1.5)
    assert [(answer["start"], answer["end"]) for answer in answers] == [(0, 2), (1.5, 3.5), (3, 5), (4.5, 6.5)]
    assert all(answer["modalities"]["audio"]["present"] for answer in answers)
    assert end["windows"] == 4


def test_everyone_is_told_of_by_the_clock_of_the_video(client: TestClient, tmp_path: Path) -> None:
    *answers, _ = lines(client, pair(tmp_path / "a.mp4", 1).read_bytes(), window=1.5)
    for number, answer in enumerate(answers):
        assert [len(person["faces"]) > 5 for person in answer["people"]] == [True, True]
        looked = [person for person in answer["people"] if person["speaker"]]
        assert answer["modalities"]["visual"]["faces"] == looked[0]["faces"] and len(looked) == 1
        for face in (face for person in answer["people"] for face in person["faces"]):
            assert 1.5 * number <= face["time"] < 1.5 * (number + 1)
    assert next(one for one in answers[0]["people"] if one["speaker"])["faces"][0]["left"] > 0.5


def test_the_lines_of_a_transcript_are_the_windows(client: TestClient, film: bytes) -> None:
    first, second, end = lines(client, film, transcript=SRT)
    assert (first["start"], first["end"], first["text"]) == (0.5, 2, "You got the job!")
    assert second["text"] == "I did?"
    assert second["modalities"]["metadata"]["present"]
    assert (first["speaker"], first["voices"]) == (None, None)
    assert end["windows"] == 2


def test_the_speakers_of_a_transcript_are_told(client: TestClient, film: bytes) -> None:
    script = "WEBVTT\n\n00:00.500 --> 00:02.000\n<v Ann>You got the job!\n"
    first, _ = lines(client, film, transcript=script)
    assert (first["speaker"], first["voices"], first["text"]) == ("Ann", None, "You got the job!")


def test_nothing_of_a_video_is_left(
    client: TestClient, film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lines(client, film, window=1)
    client.post("/timeline", files={"video": b"junk"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("form", "video", "message"),
    [
        ({}, b"junk", "video: can't be decoded"),
        ({}, b"", "found an empty file"),
        ({"window": "wide"}, b"junk", "window: found 'wide', expected seconds"),
        ({"window": "nan"}, b"junk", "window: Input should be"),
        ({"window": "0"}, b"junk", "window: Input should be greater than or equal to 0.5"),
        ({"transcript": "hello"}, b"junk", "transcript: found a transcript without lines"),
        ({"transcript": '[{"text": 1}]'}, b"junk", "transcript: no transcript"),
        (
            {"film": "a"},
            b"junk",
            "found unknown fields film; expected hop, speaker_count, speakers, transcribe, transcript, video, window",
        ),
    ],
)
def test_a_bad_request_is_told_what_to_send(
    client: TestClient, form: dict[str, str], video: bytes, message: str
) -> None:
    answer = client.post("/timeline", data=form, files={"video": video})
    assert answer.status_code == 422
    assert message in answer.json()["error"]


def lines_of(*spans: tuple[float, float]) -> str:
    return json.dumps([{"text": "a", "start": start, "end": end} for start, end in spans])


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"window": "60", "hop": "0.5"}, "hop: found windows of 60 s every 0.5 s, 120 times the work of the video"),
        ({"window": "60", "hop": "7.4"}, "expected at most 8 times; send a hop of at least 7.5 s"),
        ({"window": "5", "hop": "0.5"}, "10 times the work of the video, expected at most 8 times"),
        ({"transcript": lines_of(*[(0, 60)] * 241)}, "transcript: found lines of 14460 s in all, expected at most 8"),
        ({"transcript": lines_of(*[(0, 1800)] * 241)}, "transcript: found lines of 14460 s in all"),
        ({"transcript": lines_of(*[(0, 0.1)] * 3601)}, "found 3601 lines, expected at most 3600; send the video in"),
        ({"transcript": lines_of(*[(0, 0.1)] * 3601), "window": "4"}, "found 3601 lines, expected at most 3600"),
    ],
)
def test_far_more_work_than_the_video_is_long_is_refused(
    client: TestClient, form: dict[str, str], message: str
) -> None:
    answer = client.post("/timeline", data=form, files={"video": b"junk"})
    assert answer.status_code == 422
    assert message in answer.json()["error"]


@pytest.mark.parametrize("form", [{"window": "4", "hop": "0.5"}, {"window": "60", "hop": "7.5"}, {"hop": "0.5"}])
def test_windows_that_overlap_within_the_limit_are_cut(client: TestClient, form: dict[str, str]) -> None:
    error = client.post("/timeline", data=form, files={"video": b"junk"}).json()["error"]
    assert "can't be decoded" in error


def broken(film: bytes, start: float, end: float) -> bytes:
    """A film of which a part is overwritten."""
    first, last = round(len(film) * start), round(len(film) * end)
    return film[:first] + bytes(last - first) + film[last:]


@pytest.mark.parametrize(("start", "window"), [(0.5, 0.5), (0.5, 1), (0.7, 1)])
def test_a_video_that_breaks_off_gives_its_windows_and_then_an_error(
    client: TestClient, film: bytes, start: float, window: float
) -> None:
    *answers, end = lines(client, broken(film, start, start + 0.1), window=window)
    whole = lines(client, film, window=window)
    assert 1 <= len(answers) <= len(whole) - 1
    assert [one["start"] for one in answers] == [one["start"] for one in whole[: len(answers)]]
    assert end["error"].startswith("video: damaged after ")


def test_a_window_has_the_features_of_the_clip_itself(params: Params, corpus: Path, tmp_path: Path) -> None:
    clip = max((corpus / "output_repeated_splits_test").glob("*.mp4"), key=lambda path: path.stat().st_size)
    look = Look(params.visual.fps, params.visual.width, params.audio.sample_rate)
    (window,) = cut_windows(clip, [(0.0, 60.0)], look, 600)
    for modality in ("audio", "visual"):
        extractor = make_extractor(params.extractor(modality))
        whole, cut = extractor.extract([Utterance(clip=clip), Utterance(clip=window.clip)])
        assert whole.values is not None and cut.values is not None
        # Loudness is measured at a rate of its own, which the window's sound was not kept at.
        np.testing.assert_allclose(cut.values, whole.values, atol=1e-3)
