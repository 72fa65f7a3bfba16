from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from emofuse.core.params import Params
from emofuse.media.clip import FileClip
from emofuse.service.access import Access
from emofuse.service.errors import RefusedError
from emofuse.service.live import _Recent
from emofuse.service.schemas import LiveOptions


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
        socket.send_bytes(message("sound", (len(faces) - 6) / 5, tone))
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
        (["{}", message("frame", math.nan, b"")], "time: Input should be a finite number"),
        (["{}", message("sound", -math.inf, b"")], "time: Input should be a finite number"),
        (["{}", message("frame", 1e300, b"")], "time: Input should be less than or equal to 10000000000"),
        (["{}", message("frame", 1, b""), message("frame", 62, b"")], "found a frame at 62 s after one at 1 s"),
        (["{}", message("frame", 1, b""), message("sound", 1e9, b"")], "found a sound at 1e+09 s after one at 1 s"),
        (["{}", message("frame", 9, b""), message("frame", 7, b"")], "expected times that move forward"),
        (["{}", *[message("sound", 1, bytes(64000))] * 2], "found a sound at 1 s after one at 3 s"),
        (["{}", message("sound", 1, bytes(3))], "found sound of 3 bytes, expected whole samples of 2"),
        (
            ['{"window": 10}', *(message("frame", number / 4, bytes(1_000_000)) for number in range(20))],
            "found frames of 17000000 bytes in a window of 10 s, expected at most 16777216",
        ),
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


def recent(params: Params, **options: float) -> _Recent:
    return _Recent(LiveOptions.model_validate(options), 5, params.serve.live_window_bytes)


CLOCKS = st.floats(-1e11, 1e11) | st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0])


@given(st.lists(st.tuples(st.sampled_from(["frame", "sound"]), CLOCKS | st.floats(0, 30), st.integers(0, 9))))
def test_what_is_kept_of_a_camera_is_bounded_whatever_it_says(
    params: Params, messages: list[tuple[str, float, int]]
) -> None:
    kept = recent(params, window=2, sample_rate=8000)
    for kind, moment, size in messages:
        with contextlib.suppress(RefusedError):  # a client might come again and again
            kept.add(message(kind, moment, bytes(size * 20_000)))
        assert len(kept.frames) <= 2 * 5 / 0.9 + 1
        assert len(kept.sound) <= 2 * 8000 * 2
        assert all(kept.now - 2 <= moment <= kept.now for moment, _ in kept.frames)
        if kept.arrived is not None:
            assert kept.packed()[1] or kept.frames


def test_sound_without_a_sample_brings_nothing(params: Params) -> None:
    kept = recent(params)
    kept.add(message("sound", 1.0, b""))
    assert kept.arrived is None
    kept.add(message("sound", 1.0, bytes(200)))
    kept.add(message("sound", 9.0, b""))  # far enough to begin anew
    assert kept.arrived is not None and kept.packed()[2] == 1.0


def test_a_frame_at_one_moment_again_and_again_is_kept_once(params: Params) -> None:
    for moment in (0.0, -5e9, 9.99e9):
        kept = recent(params)
        for _ in range(250):
            kept.add(message("frame", moment, bytes(100)))
        assert (len(kept.frames), kept.dropped) == (1, 249)


@pytest.mark.parametrize("began", [0.0, 1_700_000_000.0])
def test_each_sample_of_a_camera_stands_at_its_time(params: Params, began: float) -> None:
    part = np.full(800, 7, "<i2").tobytes()  # 0.1 s
    kept = recent(params, window=3, sample_rate=8000)
    for offset in (0.0, 0.11, 0.19, 1.0, 1.1):  # jitter is no gap; from 0.3 to 1.0 s nothing came
        kept.add(message("sound", began + offset, part))
    heard = np.frombuffer(bytes(kept.sound), "<i2")
    assert heard.nonzero()[0].tolist() == [*range(2400), *range(8000, 9600)]
    assert kept.sound_start == pytest.approx(began)
    kept.add(message("sound", began + 0.7, part))  # what was said of the time before stays
    assert kept.sound_end == pytest.approx(began + 1.2)
    kept.add(message("frame", began + 3.5, b""))
    assert kept.sound_start == pytest.approx(began + 0.5)
    kept.add(message("frame", began + 9, b""))
    assert (len(kept.sound), len(kept.frames)) == (0, 1)


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
