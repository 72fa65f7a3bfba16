"""Bodies that come too slowly, and answers that nobody reads, over real connections."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import ExitStack, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from emofuse.core.params import Params
from emofuse.service import body
from emofuse.service.errors import RefusedError

FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'


def begun(address: str, path: str, kind: str, start: bytes, length: int = 100_000) -> socket.socket:
    """A request whose body begins and does not end."""
    url = urlsplit(address)
    client = socket.create_connection((url.hostname or "", url.port or 80))
    head = [f"POST /{path} HTTP/1.1", f"Host: {url.netloc}", f"Content-Type: {kind}", f"Content-Length: {length}"]
    client.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode() + start)
    client.settimeout(20)
    return client


def answer(client: socket.socket) -> str:
    """All that is sent until the connection is closed."""
    return b"".join(iter(lambda: client.recv(2**16), b"")).decode()


@pytest.mark.parametrize(
    ("path", "kind", "start"),
    [
        ("timeline", FORM, PART),
        ("timeline", FORM, b""),
        ("predict", FORM, PART + b"0" * 1000),
        ("predict_batch", "application/json", b'{"items": ['),
    ],
)
def test_stalled_uploads_give_their_places_back(
    address: str, params: Params, monkeypatch: pytest.MonkeyPatch, path: str, kind: str, start: bytes
) -> None:
    monkeypatch.setattr(body, "GRACE", 1.0)
    with ExitStack() as stack:
        stalled = [stack.enter_context(begun(address, path, kind, start)) for _ in range(params.serve.timelines)]
        if path == "timeline":
            time.sleep(0.3)
            assert httpx.post(f"{address}timeline", files={"video": b"junk"}).status_code == 503
        for client in stalled:
            told = answer(client)
            assert told.startswith("HTTP/1.1 408 ")
            assert f"found {len(start)} bytes of a body in 1 s, expected at least 32768 a second" in told
    assert httpx.post(f"{address}timeline", files={"video": b"junk"}).status_code == 422


def test_an_upload_that_drips_is_ended_and_one_that_keeps_up_is_not(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "GRACE", 0.5)
    end = b"\r\n--b--\r\n"
    for step, status in ((10, "408"), (8_000, "422")):
        with begun(address, "timeline", FORM, PART, length=len(PART) + 40 * step + len(end)) as client:
            with suppress(ConnectionError):  # it may be closed meanwhile
                for _ in range(40):
                    client.sendall(b"0" * step)
                    time.sleep(0.05)
                client.sendall(end)
            told = answer(client)
            assert told.startswith(f"HTTP/1.1 {status} "), told


def asked(params: Params, path: str, receive: Receive, **limits: float) -> list[Message]:
    """What an application that reads its whole body sends behind the limits."""

    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive()).get("more_body"):
                pass
        except RefusedError as error:
            await send({"type": "http.response.start", "status": error.status, "headers": []})
            await send({"type": "http.response.body", "body": str(error).encode()})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "path": path, "headers": [(b"content-type", b"multipart/form-data")]}
    asyncio.run(body.BodyLimit(reads, params.serve.model_copy(update=limits))(scope, receive, send))
    return sent


@pytest.mark.parametrize(("path", "limit"), [("/timeline", "timeline_upload_seconds"), ("/predict", "request_seconds")])
def test_a_body_however_fast_has_a_longest_time(params: Params, path: str, limit: str) -> None:
    async def dripping() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": bytes(100_000), "more_body": True}

    start, *parts = asked(params, path, dripping, **{limit: 0.2, "bytes": 2**40, "timeline_bytes": 2**40})
    assert start["status"] == 408
    assert b"and all in 0.2 s; send it faster, or a shorter clip" in parts[0]["body"]


def test_waiting_for_an_answer_takes_no_time_of_the_body(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "GRACE", 0.0)
    messages = iter([{"type": "http.request", "body": b"all", "more_body": False}])
    heard: list[str] = []

    async def receive() -> Message:
        for message in messages:
            return message
        await asyncio.sleep(0.3)
        return {"type": "http.disconnect"}

    async def listens(scope: Scope, receive: Receive, send: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "path": "/timeline", "headers": []}
    asyncio.run(body.BodyLimit(listens, params.serve)(scope, receive, send))
    assert heard == ["http.request", "http.disconnect"]


def test_who_does_not_read_an_answer_is_left(params: Params) -> None:
    ended = []

    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while True:
                await send({"type": "http.response.body", "body": b"line", "more_body": True})
        finally:
            ended.append(True)

    async def nothing() -> Message:
        raise AssertionError("nothing is read")

    async def stuck(message: Message) -> None:
        await asyncio.sleep(60)

    scope = {"type": "http", "path": "/timeline", "headers": []}
    began = time.monotonic()
    asyncio.run(body.BodyLimit(long, params.serve.model_copy(update={"request_seconds": 0.1}))(scope, nothing, stuck))
    assert ended
    assert time.monotonic() - began < 5


def test_a_whole_body_is_read_as_it_was(address: str) -> None:
    told = httpx.post(
        f"{address}predict",
        content=iter([b'{"utter', b'ance": "Oh', b' no."}']),
        headers={"content-type": "application/json"},
    )
    assert told.status_code == 200
    assert json.loads(told.text)["label"]
