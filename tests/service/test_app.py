"""The HTTP interface over a real predictor; `test_pipeline.py` runs it under BentoML."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
import resource
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response

from emofuse.core.params import Params, load_params
from emofuse.inference.predictor import Predictor
from emofuse.service.app import create_app
from emofuse.service.concurrency import Places
from emofuse.service.endpoints import Served
from emofuse.service.errors import RefusedError
from tests.conftest import write_clip
from tests.pipeline.imports import ROOT

LIMITS = load_params(ROOT / "params.yaml").serve
JSON = {"content-type": "application/json"}
SIDES = (("left", "width"), ("top", "height"))
CONTEXT = {"position": 2, "dialogue_length": 5}


def untimed(answer: Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {key: value for key, value in answer.json().items() if key != "seconds"}


def test_multipart_with_everything_uses_every_modality(client: TestClient, clip: bytes) -> None:
    answer = client.post(
        "/predict", files={"video": ("a.mp4", clip)}, data={"utterance": "Really?", "context": json.dumps(CONTEXT)}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["label"] == max(body["probabilities"], key=body["probabilities"].get)
    assert sum(body["probabilities"].values()) == pytest.approx(1)
    assert all(modality["present"] for modality in body["modalities"].values())
    assert sum(modality["weight"] for modality in body["modalities"].values()) == pytest.approx(1)
    assert all(sum(m["probabilities"].values()) == pytest.approx(1) for m in body["modalities"].values())
    faces = body["modalities"]["visual"]["faces"]
    assert len(faces) >= 5
    assert [face["time"] for face in faces] == sorted({face["time"] for face in faces})
    assert all(0 <= face[at] < face[at] + face[side] <= 1 for face in faces for at, side in SIDES)
    assert {"check", "audio", "visual", "text", "fusion", "total"} <= set(body["seconds"])


def test_json_and_multipart_give_the_same_answer(client: TestClient, clip: bytes) -> None:
    form = client.post("/predict", files={"video": clip}, data={"utterance": "Really?", "context": json.dumps(CONTEXT)})
    body = {"video": base64.b64encode(clip).decode(), "utterance": "Really?", "context": CONTEXT}
    assert untimed(client.post("/predict", json=body)) == untimed(form)


def test_text_alone_is_answered_and_says_what_was_missing(client: TestClient) -> None:
    modalities = client.post("/predict", json={"utterance": "I am so happy!"}).json()["modalities"]
    assert modalities["text"]["present"]
    assert modalities["audio"] == {
        "present": False,
        "reason": "no video sent",
        "weight": 0,
        "unfamiliar": False,
        "probabilities": None,
        "faces": [],
    }
    assert modalities["metadata"]["reason"] == "no dialogue context"


@pytest.mark.parametrize("text", ["123", "null", "true", '{"a": 1}'])
def test_text_that_looks_like_json_is_text(client: TestClient, text: str) -> None:
    form = client.post("/predict", files={"utterance": (None, text)})
    assert form.status_code == 200
    assert untimed(form) == untimed(client.post("/predict", json={"utterance": text}))


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({}, 422, "found an empty request; send at least one of video"),
        ({"content": b'{"utterance": "a"}'}, 422, "found a body without a content type; send"),
        ({"content": iter([b"{}"])}, 422, "found a body without a content type; send"),
        ({"content": gzip.compress(b"{}"), "headers": JSON}, 422, "found a gzip file, expected JSON in UTF-8"),
        ({"content": '{"utterance": "a"}'.encode("utf-16"), "headers": JSON}, 422, "found text in UTF-16, expected"),
        (
            {"content": b"--x\r\nContent-Disposition: form-data", "headers": JSON},
            422,
            "found a multipart body, expected",
        ),
        (
            {"content": b"a", "headers": JSON | {"content-encoding": "GZip"}},
            422,
            "content encoding gzip; send it uncom",
        ),
        (
            {"files": {"video": b"a"}, "headers": {"content-encoding": "br"}},
            422,
            "found a body with content encoding br",
        ),
        ({"json": {}}, 422, "found neither; send at least one of video"),
        ({"json": {"utterance": "  "}}, 422, "found neither"),
        ({"files": {"video": b""}}, 422, r"found an empty file \(0 bytes\)"),
        ({"files": {"video": b"hello"}}, 422, "video: can't be decoded.*expected a clip"),
        ({"files": {"video": (None, "http://127.0.0.1:9/a.mp4")}}, 422, "found text, expected a file"),
        ({"files": {"film": b"hello"}}, 422, "found unknown fields film; expected audio"),
        ({"json": {"utterance": 7}}, 422, "utterance: Input should be a valid string"),
        ({"json": {"video": "abc"}}, 422, "video: Base64 decoding error"),
        ({"json": {"audio": "data:audio/wav;base64,-_-_"}}, 422, "audio: Base64 decoding error: found '-'"),
        ({"json": {"utterance": "a", "context": {"position": -1}}}, 422, r"context\.position"),
        ({"json": {"utterance": "a", "context": {"start": 2.0, "end": 1.0}}}, 422, "end 1 s is before start 2 s"),
        (
            {"json": {"utterance": "a", "context": {"lines": [{"text": "b" * 10_001}]}}},
            422,
            r"lines\.0\.text: found 10001",
        ),
        ({"json": {"utterance": "a", "context": {"position": "1"}}}, 422, "valid integer"),
        ({"files": [("utterance", (None, "a"))] * 2}, 422, "found a field twice"),
        ({"json": {"utterance": "a", "context": {"position": 5, "dialogue_length": 5}}}, 422, "not inside a dialogue"),
        ({"json": {"utterance": "a" * 10_001}}, 422, "found 10001 characters, expected at most 10000"),
        ({"files": {"utterance": (None, "a"), "context": (None, "{")}}, 422, "JSON"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 422, "found content type text/plain"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "JSON"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "broken multipart body"),
        ({"content": b"{}", "headers": JSON | {"content-length": str(2**40)}}, 413, "expected at most 8388608"),
        ({"content": b" " * (LIMITS.json_bytes + 1), "headers": JSON}, 413, "as multipart/form-data"),
        ({"files": {"video": bytes(LIMITS.bytes + 2**20)}}, 413, "send a shorter clip"),
    ],
)
def test_a_bad_request_is_told_what_to_send(
    client: TestClient, request_: dict[str, Any], status: int, message: str
) -> None:
    answer = client.post("/predict", **request_)
    assert answer.status_code == status
    assert re.search(message, answer.json()["error"]), answer.json()


@pytest.mark.parametrize("kind", ["Multipart/Form-Data", "MULTIPART/form-data", "multipart/FORM-DATA "])
def test_media_types_are_compared_without_case(client: TestClient, kind: str) -> None:
    request = client.build_request("POST", "/predict", files={"video": bytes(LIMITS.json_bytes + 2**20)})
    boundary = request.headers["content-type"].partition(";")[2]
    request.headers["content-type"] = f"{kind};{boundary}"
    answer = client.send(request)
    assert (answer.status_code, answer.json()["error"][:25]) == (422, "video: can't be decoded: ")
    told = client.post(
        "/predict", content=b'{"utterance": "a"}', headers={"content-type": "Application/JSON; charset=UTF-8"}
    )
    assert told.status_code == 200


@pytest.mark.parametrize("kind", ["application/octet-stream", "video/mp4"])
def test_a_form_in_which_no_file_was_chosen_sends_none(client: TestClient, kind: str) -> None:
    empty = f'--b\r\nContent-Disposition: form-data; name="%s"; filename=""\r\nContent-Type: {kind}\r\n\r\n\r\n'
    text = '--b\r\nContent-Disposition: form-data; name="utterance"\r\n\r\nI am so happy!\r\n--b--\r\n'
    form = {"content-type": "multipart/form-data; boundary=b"}
    sent = client.post("/predict", content=empty % "video" + empty % "audio" + text, headers=form)
    assert untimed(sent) == untimed(client.post("/predict", json={"utterance": "I am so happy!"}))
    nothing = client.post("/predict", content=empty % "video" + "--b--\r\n", headers=form)
    assert (nothing.status_code, nothing.json()["error"][:14]) == (422, "found neither;")
    film = client.post("/timeline", content=empty % "video" + "--b--\r\n", headers=form)
    assert (film.status_code, film.json()["error"][:15]) == (422, "found no video;")


@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/timeline"])
@pytest.mark.parametrize("cut", [b"--\r\n", b"\r\n--b--\r\n", b"y!\r\n--b--\r\n"])
def test_a_form_that_breaks_off_is_refused_whole(client: TestClient, path: str, cut: bytes) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="utterance"\r\n\r\n'
    body = head + b"I am so happy!\r\n--b--\r\n"
    answer = client.post(
        path, content=body.removesuffix(cut), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert (answer.status_code, "found no last boundary" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/timeline"])
@pytest.mark.parametrize("limit", [10_000, 1_500_000])  # while it is written for the worker, while it comes in
def test_a_disk_without_room_is_told(client: TestClient, path: str, limit: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    items = {"items": (None, json.dumps([{"video": "video"}]))} if path == "/predict_batch" else {}
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # the largest file that this process may write
    try:
        answer = client.post(path, files={"video": bytes(limit * 2)} | items)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (answer.status_code, answer.json()["error"][:13]) == (507, "found no room")
    assert client.post("/predict", json={"utterance": "still there"}).status_code == 200


def test_json_may_begin_with_a_byte_order_mark(client: TestClient) -> None:
    assert client.post("/predict", content=b'\xef\xbb\xbf{"utterance": "a"}', headers=JSON).status_code == 200


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_an_answer_from_nothing_is_uncertain_and_says_so(client: TestClient, tmp_path: Path, seconds: float) -> None:
    mute = write_clip(tmp_path / "a.mp4", seconds=seconds, tone=None).read_bytes()
    silent = write_clip(tmp_path / "a.wav", seconds=seconds, video=False, tone=1e-9, codec="pcm_s16le").read_bytes()
    for files in ({"video": mute}, {"audio": silent}, {"video": mute, "audio": silent}):
        body = untimed(client.post("/predict", files=files))
        assert not any(modality["present"] for modality in body["modalities"].values())
        assert (body["uncertain"], body["note"]) == (True, "nothing to answer from")
    assert untimed(client.post("/predict", files={"video": mute}, data={"utterance": "Oh no."}))["note"] == ""


def test_nothing_of_an_upload_is_left(client: TestClient, clip: bytes, uploads: Path) -> None:
    for video in (clip, b"junk", b""):
        client.post("/predict", files={"video": video})
    assert list(uploads.glob("*"))
    assert list(uploads.glob("*/*")) == []


def test_a_silent_faceless_clip_is_answered_from_the_rest(client: TestClient, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", tone=None).read_bytes()
    modalities = client.post("/predict", files={"video": video}, data={"utterance": "hello"}).json()["modalities"]
    assert modalities["audio"]["reason"] == "no sound track"
    assert modalities["visual"]["reason"] == "no face found"


def test_earlier_lines_give_the_position(client: TestClient) -> None:
    lines = [{"text": "You got the job!", "speaker": "Ann"}, {"text": "I did?", "speaker": "Ben"}]
    told = client.post("/predict", json={"utterance": "You did!", "context": {"lines": lines}})
    assert told.json()["modalities"]["metadata"]["present"]


def test_a_sound_file_goes_before_the_sound_of_the_video(client: TestClient, clip: bytes, tmp_path: Path) -> None:
    sound = write_clip(tmp_path / "a.wav", video=False, tone=300, codec="pcm_s16le").read_bytes()
    alone = client.post("/predict", files={"audio": sound}).json()["modalities"]
    both = client.post("/predict", files={"audio": sound, "video": clip}).json()["modalities"]
    assert alone["visual"]["reason"] == "no video sent"
    assert both["visual"]["present"]
    assert both["audio"]["probabilities"] == pytest.approx(alone["audio"]["probabilities"])


def test_a_sound_without_a_voice_is_answered(client: TestClient, tmp_path: Path) -> None:
    noise = np.random.default_rng(13).integers(-8000, 8000, 16000, dtype=np.int16)  # its pitch is unknown
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(noise.tobytes())
    sound = (tmp_path / "a.wav").read_bytes()
    assert untimed(client.post("/predict", files={"audio": sound}))["modalities"]["audio"]["present"]


def test_a_batch_is_answered_in_order_with_errors_in_their_place(client: TestClient) -> None:
    items = [{"utterance": "I am so happy!"}, {"utterance": 7}, {"video": "aGVsbG8="}, {"utterance": "Oh no."}]
    answers = client.post("/predict_batch", json={"items": items}).json()["answers"]
    assert answers[0]["probabilities"] == pytest.approx(client.post("/predict", json=items[0]).json()["probabilities"])
    assert answers[3]["probabilities"] == pytest.approx(client.post("/predict", json=items[3]).json()["probabilities"])
    assert "valid string" in answers[1]["error"]
    assert "can't be decoded" in answers[2]["error"]


def test_items_of_a_batch_may_name_one_file(client: TestClient, clip: bytes) -> None:
    items = json.dumps([{"video": "a"}, {"video": "a", "utterance": "Oh no."}, {"audio": "a"}])
    first, second, third = client.post("/predict_batch", data={"items": items}, files={"a": clip}).json()["answers"]
    assert first["modalities"]["visual"]["present"] and second["modalities"]["visual"]["present"]
    assert third["modalities"]["audio"]["probabilities"] == pytest.approx(first["modalities"]["audio"]["probabilities"])


def test_a_batch_as_a_form_names_its_files(client: TestClient, clip: bytes) -> None:
    items = json.dumps([{"video": "first"}, {"utterance": "Hello"}, {"video": "second"}])
    answers = client.post("/predict_batch", data={"items": items}, files={"first": clip}).json()["answers"]
    assert answers[0]["modalities"]["visual"]["present"]
    assert answers[1]["modalities"]["text"]["present"]
    assert "found no file part 'second'" in answers[2]["error"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "found no list"),
        (b"[1]", "found no list"),
        (b'{"items": []}', "found no list"),
        (b"{", "found no JSON"),
        (b'{"items": [1' + b",1" * 40 + b"]}", "found 41, expected at most 32"),
    ],
)
def test_a_bad_batch_is_told_what_to_send(client: TestClient, body: bytes, message: str) -> None:
    answer = client.post("/predict_batch", content=body, headers=JSON)
    assert answer.status_code == 422
    assert message in answer.json()["error"]


def test_requests_beyond_the_places_are_told_to_come_back() -> None:
    async def crowd() -> None:
        places = Places(1, 60)
        async with places.taken(), places.taken():
            pass

    with pytest.raises(RefusedError, match="1 requests are worked on, at most 1") as refused:
        asyncio.run(crowd())
    assert refused.value.status == 503
    assert refused.value.headers == {"Retry-After": "1"}


def test_openapi_names_both_ways_of_sending(client: TestClient) -> None:
    post = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(post["requestBody"]["content"]) == {"application/json", "multipart/form-data"}


def test_the_model_is_described(client: TestClient, bundle: Path) -> None:
    told = client.get("/model").json()
    described = json.loads((bundle / "bundle.json").read_text())
    assert (told["name"], told["labels"]) == (described["model"], described["labels"])
    assert told["metrics"] == {"dev_weighted_f1": 0.5}
    assert told["elsewhere"] == [
        {"data": "meld:mine", "data_hash": "ab" * 32, "rows": 7, "scores": {"weighted_f1": 0.25}}
    ]
    assert told["learnt_from"] == described["learnt_from"]
    answer = client.post("/predict", json={"utterance": "Oh no."}).json()
    assert (answer["trained_on"], answer["synthetic"]) == (told["trained_on"], told["synthetic"])
    assert told["synthetic"] is True and "synthetic utterances" in told["trained_on"]
    assert told["limits"]["seconds"] == LIMITS.seconds
    assert told["card"] == "# Card"


def test_the_model_is_described_whoever_tells_speakers_apart(bundle: Path, uploads: Path, params: Params) -> None:
    limits = params.serve.model_copy(update={"speakers": "microsoft/wavlm-base-plus-sv"})
    with TestClient(create_app(lambda: Served(Predictor.load(bundle)), limits)) as client:
        answer = client.get("/model")
    assert answer.status_code == 200
    numbers = {name for name, value in params.serve if isinstance(value, int | float)}
    assert numbers <= set(answer.json()["limits"]) and "speakers" not in answer.json()["limits"]


def test_the_page_may_load_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/", "/page.js", "/style.css", "/sound.js", "/icon.svg"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", answer.text)


def test_other_pages_may_not_ask(client: TestClient) -> None:
    answer = client.get("/model", headers={"Origin": "https://example.com"})
    assert "access-control-allow-origin" not in answer.headers
