from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from emofuse.core.params import Params
from emofuse.media.clip import FileClip
from emofuse.service.access import Access
from emofuse.service.errors import RefusedError


def message(kind: str, time: float, payload: bytes) -> bytes:
    return json.dumps({"kind": kind, "time": time}).encode() + b"\n" + payload


@pytest.fixture(scope="module")
def faces(clip: bytes, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    path = tmp_path_factory.mktemp("live") / "a.mp4"
    path.write_bytes(clip)
    return [cv2.imencode(".jpg", frame)[1].tobytes() for _, frame in FileClip(path).frames(5, 448)]


def test_a_camera_is_answered_every_hop(client: TestClient, faces: list[bytes]) -> None:
    tone = (8000 * np.sin(np.arange(16000) * 2 * np.pi * 220 / 16000)).astype("<i2").tobytes()
    with client.websocket_connect("/live") as socket:
        socket.send_text('{"hop": 0.2, "window": 2}')
        socket.send_text('{"utterance": "Oh no."}')
        for number, face in enumerate(faces):
            socket.send_bytes(message("frame", number / 5, face))
        socket.send_bytes(message("sound", 0, tone))
        answer: dict[str, Any] = json.loads(socket.receive_text())
    assert all(answer["modalities"][name]["present"] for name in ("text", "audio", "visual"))
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert answer["time"] == pytest.approx((len(faces) - 1) / 5)


def test_frames_that_come_too_often_are_dropped(client: TestClient, faces: list[bytes]) -> None:
    with client.websocket_connect("/live") as socket:
        socket.send_text('{"hop": 0.2}')
        for number in range(50):
            socket.send_bytes(message("frame", number / 50, faces[0]))
        assert json.loads(socket.receive_text())["dropped"] >= 40


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (['{"hop": 0}'], "hop: Input should be greater"),
        (["{}", b"junk"], "found no header"),
        (["{}", message("smell", 0, b"")], "kind: Input should be 'frame' or 'sound'"),
        (["{}", '{"text": 1}'], "utterance: Field required"),
        (["{}", bytes(1_048_577)], "expected at most 1048576"),
        ([b"{}"], "another kind"),
    ],
)
def test_a_broken_message_ends_the_session(client: TestClient, sent: list[str | bytes], error: str) -> None:
    with client.websocket_connect("/live") as socket:
        for part in sent:
            socket.send_text(part) if isinstance(part, str) else socket.send_bytes(part)
        assert error in json.loads(socket.receive_text())["error"]


def test_a_broken_picture_costs_its_answer_alone(client: TestClient, faces: list[bytes]) -> None:
    with client.websocket_connect("/live") as socket:
        socket.send_text('{"hop": 0.2, "window": 0.5}')
        socket.send_bytes(message("frame", 0, b"no picture"))
        assert "picture can't be decoded" in json.loads(socket.receive_text())["error"]
        socket.send_bytes(message("frame", 9, faces[0]))
        assert "label" in json.loads(socket.receive_text())


def test_keys_are_asked_for_and_limited(params: Params) -> None:
    access = Access(["one", "two"], params.serve.model_copy(update={"rate": 0.001, "rate_burst": 2}))
    for headers in ({}, {"x-api-key": "three"}, {"authorization": "Bearer on"}, {"x-api-key": "ü"}):
        with pytest.raises(RefusedError) as refused:
            access.check(Headers(headers))
        assert refused.value.status == 401
    access.check(Headers({"x-api-key": "one"}))
    access.check(Headers({"authorization": "Bearer one"}))
    with pytest.raises(RefusedError, match=r"more than 0\.001 requests a second"):
        access.check(Headers({"x-api-key": "one"}))
    access.check(Headers({"x-api-key": "two"}))
    access.check(Headers({}), key="two")


def test_anyone_may_ask_where_there_are_no_keys(params: Params) -> None:
    Access([], params.serve).check(Headers({}))
