"""Words that the service hears where none were sent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from emofuse.core.params import Params, ServeParams
from emofuse.inference.predictor import Predictor
from emofuse.media.clip import FileClip
from emofuse.media.limits import Bounds
from emofuse.media.windows import Look
from emofuse.service.app import create_app
from emofuse.service.endpoints import Served
from emofuse.service.errors import RefusedError
from emofuse.service.listening import Listening
from emofuse.service.media_pool.pool import MediaPool
from emofuse.service.media_pool.protocol import Cut, Listener
from emofuse.transcription.speakers import HAND_MADE
from emofuse.transcription.voice_activity import RATE
from tests.classifiers import save_speaker_model
from tests.clips import write_samples


@pytest.fixture(scope="module")
def limits(params: Params) -> ServeParams:
    return params.serve.model_copy(update={"recogniser": "embedded", "queue_seconds": 60.0})


@pytest.fixture(scope="module")
def hearing(bundle: Path, limits: ServeParams, uploads: Path) -> Iterator[TestClient]:
    with TestClient(create_app(lambda: Served(Predictor.load(bundle)), limits)) as client:
        yield client


@pytest.fixture(scope="module")
def speech(corpus: Path) -> np.ndarray:
    """A line of the corpus that can be understood."""
    return FileClip(corpus / "train_splits" / "dia0_utt0.mp4").sound(RATE)


@pytest.fixture(scope="module")
def film(speech: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The line, said twice."""
    pause = np.zeros(RATE, np.float32)
    sound = np.concatenate([pause, speech, pause, speech, pause])
    return write_samples(tmp_path_factory.mktemp("film") / "a.wav", sound[None], "pcm_s16le").read_bytes()


def lines(client: TestClient, video: bytes, **form: Any) -> list[dict[str, Any]]:
    answer = client.post("/timeline", files={"video": video}, data=form)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_a_long_film_is_cut_by_its_speech_and_heard(hearing: TestClient, film: bytes) -> None:
    *answers, end = lines(hearing, film, transcribe="true")
    assert end["windows"] == len(answers) >= 2
    assert all(answer["heard"]["text"] == answer["text"] for answer in answers)
    worded = [answer for answer in answers if answer["text"]]
    assert worded
    for answer in worded:
        assert answer["modalities"]["text"]["present"] and answer["modalities"]["metadata"]["present"]
        assert answer["heard"]["recogniser"] == "embedded" and 0 < answer["heard"]["confidence"] <= 1
        words = answer["heard"]["words"]
        assert all(answer["start"] <= word["start"] <= word["end"] <= answer["end"] for word in words)


@pytest.mark.slow
def test_speech_without_end_is_heard_within_its_time(
    hearing: TestClient, speech: np.ndarray, tmp_path: Path, limits: ServeParams
) -> None:
    pause = np.zeros(RATE // 4, np.float32)
    times = 1 + int(20 * RATE / len(speech))
    sound = np.concatenate([np.concatenate([speech, pause])] * times)
    video = write_samples(tmp_path / "a.wav", sound[None], "pcm_s16le").read_bytes()
    began = time.monotonic()
    *answers, end = lines(hearing, video, transcribe="true")
    assert time.monotonic() - began < limits.listen_seconds  # a worker that waits for ever is ended then
    assert end["windows"] == len(answers) and sum(bool(answer["text"]) for answer in answers) >= times / 2


def test_who_says_each_line_is_told_once_all_is_heard(hearing: TestClient, film: bytes) -> None:
    *told, end = lines(hearing, film, transcribe="true", speakers="true")
    listened = [line["listened"] for line in told if "listened" in line]
    answers = told[len(listened) :]
    assert listened == sorted(listened) and listened[-1] == answers[-1]["end"]
    assert len(listened) == len(answers) == end["windows"] >= 2
    assert {answer["voices"] for answer in answers} == {HAND_MADE} == {hearing.get("/model").json()["voices"]}
    assert answers[0]["speaker"] == "speaker 1"
    plain = [line for line in lines(hearing, film, transcribe="true") if "start" in line]
    assert [(line["start"], line["text"]) for line in plain] == [(line["start"], line["text"]) for line in answers]
    assert {(line["speaker"], line["voices"]) for line in plain} == {(None, None)}


@pytest.mark.parametrize("count", [1, 2])
def test_as_many_speak_as_the_request_says(hearing: TestClient, film: bytes, count: int) -> None:
    told = lines(hearing, film, transcribe="true", speaker_count=count)  # which asks for speakers, too
    assert {line["speaker"] for line in told if "start" in line} == {f"speaker {1 + n}" for n in range(count)}


def test_a_model_of_speakers_is_asked_where_one_is_named(
    bundle: Path,
    limits: ServeParams,
    film: bytes,
    uploads: Path,
    tmp_path: Path,
) -> None:
    model = save_speaker_model(tmp_path / "model")
    named = limits.model_copy(update={"speakers": model})
    with TestClient(create_app(lambda: Served(Predictor.load(bundle)), named)) as client:
        told = lines(client, film, transcribe="true", speaker_count=1)
        assert client.get("/model").json()["voices"] == model
    assert {(line["speaker"], line["voices"]) for line in told if "start" in line} == {("speaker 1", model)}


def test_who_hangs_up_or_dies_while_all_is_heard_leaves_nobody_busy(
    limits: ServeParams, speech: np.ndarray, tmp_path: Path
) -> None:
    sound = np.concatenate([np.concatenate([speech, np.zeros(RATE, np.float32)])] * 12)
    path = write_samples(tmp_path / "a.wav", sound[None], "pcm_s16le")
    look, bounds = Look(5.0, 448, RATE), Bounds(limits.streams, limits.pixels, 600.0, 10_000)
    work = Cut(path, [], 4.0, 4.0, look, bounds, transcribe=True, speakers=True)

    async def ask() -> None:
        pool = MediaPool({}, limits, listener=Listener("embedded"))
        await pool.start()
        try:
            async with aclosing(pool.cut(work)) as pieces:
                piece, _ = await anext(pieces)
                assert piece.listening and len(pool.processes()) == 2
            for _ in range(100):
                if len(pool.processes()) == 1:
                    break
                await asyncio.sleep(0.1)
            [idle] = pool.processes()
            async with aclosing(pool.cut(work)) as pieces:
                await anext(pieces)
                [busy] = set(pool.processes()) - {idle}
                os.kill(busy, signal.SIGKILL)
                with pytest.raises(RefusedError, match="crashes the decoder"):
                    while True:
                        await anext(pieces)
            assert pool.ready
        finally:
            await pool.stop()

    asyncio.run(ask())


@pytest.mark.parametrize("size", [0.3, 0.7])
def test_a_film_that_breaks_off_has_speakers_up_to_there(
    hearing: TestClient, speech: np.ndarray, tmp_path: Path, size: float
) -> None:
    pause = np.zeros(RATE, np.float32)
    sound = np.concatenate([pause, speech] * 8)
    whole = write_samples(tmp_path / "a.flac", sound[None], "flac").read_bytes()
    *told, end = lines(hearing, whole[: int(size * len(whole))], transcribe="true", speakers="true")
    assert "damaged" in end["error"] or "breaks" in end["error"], end
    answers = [line for line in told if "start" in line]
    assert answers and all(answer["speaker"].startswith("speaker ") for answer in answers)


def test_a_clip_without_text_is_answered_with_the_words_that_were_heard(hearing: TestClient, film: bytes) -> None:
    answer = hearing.post("/predict", files={"audio": film}, data={"transcribe": "true"}).json()
    assert answer["heard"]["text"] and answer["modalities"]["text"]["present"]
    again = hearing.post("/predict", files={"audio": film}, data={"utterance": answer["heard"]["text"]}).json()
    assert again["heard"] is None
    assert again["probabilities"] == pytest.approx(answer["probabilities"], abs=1e-5)


def test_a_text_that_was_sent_is_not_heard_over(hearing: TestClient, film: bytes) -> None:
    given = {"transcribe": "true", "utterance": "Oh no."}
    answer = hearing.post("/predict", files={"audio": film}, data=given).json()
    assert answer["heard"] is None and answer["modalities"]["text"]["present"]


def test_silence_is_heard_as_no_words(hearing: TestClient, tmp_path: Path) -> None:
    quiet = write_samples(tmp_path / "a.wav", np.zeros((1, RATE), np.float32), "pcm_s16le").read_bytes()
    answer = hearing.post("/predict", files={"audio": quiet}, data={"transcribe": "true"}).json()
    assert (answer["heard"]["text"], answer["heard"]["reason"]) == ("", "no speech in the sound")
    for more in ({}, {"speakers": "true"}):
        [end] = lines(hearing, quiet, transcribe="true", **more)
        assert end["windows"] == 0


@pytest.mark.parametrize(
    ("path", "form", "file", "message"),
    [
        ("/predict", {"transcribe": "true"}, b"junk", "transcribe: can't be decoded"),
        ("/predict", {"transcribe": "maybe"}, b"junk", "transcribe: found 'maybe', expected true or false"),
        ("/timeline", {"transcribe": "true"}, b"junk", "video: can't be decoded"),
        ("/timeline", {"transcribe": "true", "window": "2"}, b"junk", "send one way to cut the video"),
        ("/timeline", {"transcribe": "true", "speakers": "true"}, b"junk", "video: can't be decoded"),
        ("/timeline", {"speakers": "true"}, b"junk", "found speakers without transcribe; send both"),
        ("/timeline", {"speaker_count": "2"}, b"junk", "found speakers without transcribe; send both"),
        ("/timeline", {"speaker_count": "two"}, b"junk", "speaker_count: found 'two', expected a number such as 2"),
        ("/timeline", {"speaker_count": "0"}, b"junk", "speaker_count: Input should be greater than or equal to 1"),
    ],
)
def test_what_cannot_be_heard_is_refused(
    hearing: TestClient, path: str, form: dict[str, str], file: bytes, message: str
) -> None:
    answer = hearing.post(path, files={"video": file}, data=form)
    assert (answer.status_code, message in answer.json()["error"]) == (422, True), answer.text


@pytest.mark.parametrize("path", ["/predict", "/timeline"])
def test_a_service_without_a_recogniser_says_what_to_name(client: TestClient, path: str, film: bytes) -> None:
    answer = client.post(path, files={"video": film}, data={"transcribe": "true"})
    assert answer.status_code == 422
    assert "found no recogniser to hear the words; name one as serve.recogniser" in answer.json()["error"]
    told = client.get("/model").json()
    assert (told["recogniser"], told["voices"]) == (None, None)


def test_the_model_says_who_listens(hearing: TestClient) -> None:
    assert hearing.get("/model").json()["recogniser"] == "embedded"


def live_messages(client: TestClient, sound: np.ndarray) -> list[dict[str, Any]]:
    """What a camera without pictures is told, until there were both an answer and something else."""
    with client.websocket_connect("/live") as socket:
        socket.send_text('{"hop": 0.2, "window": 5, "transcribe": true}')
        samples = (sound * 2**15).astype("<i2").tobytes()
        socket.send_bytes(json.dumps({"kind": "sound", "time": 100.0}).encode() + b"\n" + samples)
        messages: list[dict[str, Any]] = []
        while len({"label" in message for message in messages}) < 2:
            messages.append(json.loads(socket.receive_text()))
    return sorted(messages, key=lambda message: "label" in message)


def test_the_words_of_a_camera_come_in_messages_of_their_own(hearing: TestClient, speech: np.ndarray) -> None:
    words, *answers = live_messages(hearing, speech)
    assert all(answer["heard"] is None and not answer["modalities"]["text"]["present"] for answer in answers)
    heard = words["heard"]
    assert heard["text"] and heard["recogniser"] == "embedded"
    end = 100 + len(speech) / RATE
    assert words["time"] == pytest.approx(end, abs=0.01)
    assert all(100 <= word["start"] <= word["end"] <= end for word in heard["words"])


def test_a_camera_is_told_that_nobody_is_free_to_listen_and_is_answered_all_the_same(
    bundle: Path, limits: ServeParams, speech: np.ndarray, uploads: Path
) -> None:
    little = limits.model_copy(update={"heard_seconds": 3.0})
    with TestClient(create_app(lambda: Served(Predictor.load(bundle)), little)) as client:
        problem, *answers = live_messages(client, speech)
    assert problem["error"].startswith("transcribe: found a busy service: sound of up to 0 s is listened to")
    assert all(answer["modalities"]["audio"]["present"] for answer in answers)


def test_a_camera_whose_words_nobody_hears_is_told_at_once(client: TestClient) -> None:
    with client.websocket_connect("/live") as socket:
        socket.send_text('{"transcribe": true}')
        assert "name one as serve.recogniser" in json.loads(socket.receive_text())["error"]


def test_more_sound_than_may_wait_is_turned_away(limits: ServeParams) -> None:
    short = limits.model_copy(update={"heard_seconds": 100.0, "queue_seconds": 0.1})

    async def ask() -> None:
        listening = Listening(short, ("embedded", None))  # which is not started: nobody gets to listen
        async with listening._taken(60):
            with pytest.raises(RefusedError, match="sound of up to 60 s is listened to or waits, at most 100") as error:
                async with listening._taken(60):
                    pass
            assert error.value.status == 503
            with pytest.raises(RefusedError, match=r"nobody was free to listen for 0\.1 s") as error:
                async with listening._taken(30):
                    pass
            assert error.value.status == 503
        async with listening._taken(60):
            pass

    asyncio.run(ask())
