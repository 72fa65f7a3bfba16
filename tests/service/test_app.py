"""The HTTP interface over a real predictor; `test_pipeline.py` runs it under BentoML."""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from emofuse.predictor import Predictor
from emofuse.service import app
from tests.conftest import write_clip

CONTEXT = {"position": 2, "dialogue_length": 5}


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[TestClient]:
    predictor = Predictor.load(bundle)
    predictor.warm_up()
    with TestClient(app.create_app(lambda: predictor)) as client:
        yield client


@pytest.fixture(scope="module")
def clip(corpus: Path) -> bytes:
    clips = (corpus / "output_repeated_splits_test").glob("*.mp4")
    return max(clips, key=lambda path: path.stat().st_size).read_bytes()


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


def test_json_and_multipart_give_the_same_answer(client: TestClient, clip: bytes) -> None:
    form = client.post("/predict", files={"video": clip}, data={"utterance": "Really?", "context": json.dumps(CONTEXT)})
    body = {"video": base64.b64encode(clip).decode(), "utterance": "Really?", "context": CONTEXT}
    assert client.post("/predict", json=body).json() == form.json()


def test_text_alone_is_answered_and_says_what_was_missing(client: TestClient) -> None:
    modalities = client.post("/predict", json={"utterance": "I am so happy!"}).json()["modalities"]
    assert modalities["text"]["present"]
    assert modalities["audio"] == {"present": False, "reason": "no video sent", "weight": 0}
    assert modalities["metadata"]["reason"] == "no dialogue context"


@pytest.mark.parametrize("text", ["123", "null", "true", '{"a": 1}'])
def test_text_that_looks_like_json_is_text(client: TestClient, text: str) -> None:
    form = client.post("/predict", files={"utterance": (None, text)})
    assert form.status_code == 200
    assert form.json() == client.post("/predict", json={"utterance": text}).json()


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        ({}, 422, "found an empty request; send at least one of video"),
        ({"json": {}}, 422, "found neither; send at least one of video"),
        ({"json": {"utterance": "  "}}, 422, "found neither"),
        ({"files": {"video": b""}}, 422, r"found an empty file \(0 bytes\)"),
        ({"files": {"video": b"hello"}}, 422, r"can't be decoded.*\(5 bytes\), expected a clip"),
        ({"files": {"video": (None, "http://127.0.0.1:9/a.mp4")}}, 422, "found text, expected a file"),
        ({"files": {"film": b"hello"}}, 422, "found unknown fields film; expected video"),
        ({"json": {"utterance": 7}}, 422, "utterance: Input should be a valid string"),
        ({"json": {"video": "abc"}}, 422, "video: Base64 decoding error"),
        ({"json": {"utterance": "a", "context": {"position": -1}}}, 422, r"context\.position"),
        ({"json": {"utterance": "a", "context": {"position": 5, "dialogue_length": 5}}}, 422, "not inside a dialogue"),
        ({"json": {"utterance": "a" * 10_001}}, 422, "at most 10000 characters"),
        ({"files": {"utterance": (None, "a"), "context": (None, "{")}}, 422, "JSON"),
        ({"content": b"x", "headers": {"content-type": "text/plain"}}, 422, "found content type text/plain"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "JSON"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, "broken multipart body"),
        ({"content": b"", "headers": {"content-length": str(2**40)}}, 413, f"expected at most {app.MAX_BYTES}"),
    ],
)
def test_a_bad_request_is_told_what_to_send(
    client: TestClient, request_: dict[str, Any], status: int, message: str
) -> None:
    answer = client.post("/predict", **request_)
    assert answer.status_code == status
    assert re.search(message, answer.json()["error"]), answer.json()


def test_nothing_of_an_upload_is_left(
    client: TestClient, clip: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for video in (clip, b"junk", b""):
        client.post("/predict", files={"video": video})
    assert list(tmp_path.iterdir()) == []


def test_a_silent_faceless_clip_is_answered_from_the_rest(client: TestClient, tmp_path: Path) -> None:
    video = write_clip(tmp_path / "a.mp4", tone=None).read_bytes()
    modalities = client.post("/predict", files={"video": video}, data={"utterance": "hello"}).json()["modalities"]
    assert modalities["audio"]["reason"] == "no sound track"
    assert modalities["visual"]["reason"] == "no face found"


def test_openapi_names_both_ways_of_sending(client: TestClient) -> None:
    post = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(post["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
