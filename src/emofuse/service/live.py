"""A live camera: frames and sound come over a WebSocket, and every hop the newest window is answered."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, ValidationError

from emofuse.core.params import ServeParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Utterance
from emofuse.service.access import Access
from emofuse.service.errors import RefusedError
from emofuse.service.inference import Answers
from emofuse.service.parsing import validated
from emofuse.service.schemas import LiveAnswer, LiveOptions, LiveText, Problem

HEADER = 200  # bytes of the longest header of a message
REFUSED = 1008  # the WebSocket status of a broken rule
SAMPLE = 2  # bytes, signed, little endian


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["frame", "sound"]
    time: float


@dataclass
class _Held:
    """What came last: the frames and the sound of one window. What is older is dropped, answered or not.

    Attributes:
        options: of the session.
        fps: frames a second that are looked at.
    """

    options: LiveOptions
    fps: float
    frames: deque[tuple[float, bytes]] = field(default_factory=deque)
    sound: bytearray = field(default_factory=bytearray)
    heard: float = 0.0  # when the sound that is held ends, by the client's clock
    text: str = ""
    arrived: float | None = None  # when the newest came that is not answered yet
    dropped: int = 0

    def add(self, message: bytes) -> None:
        """Take a frame or a part of the sound.

        Raises:
            RefusedError: its header is broken.
        """
        head, found, payload = message.partition(b"\n")
        if not found or len(head) > HEADER:
            raise RefusedError(422, 'found no header; expected {"kind": "frame", "time": 1.5}, a line end, the bytes')
        header = validated(_Header, head)
        self.arrived = time.perf_counter()
        if header.kind == "sound":
            self.sound += payload
            self.heard = header.time + len(payload) / SAMPLE / self.options.sample_rate
            most = round(self.options.window * self.options.sample_rate) * SAMPLE
            del self.sound[: max(0, len(self.sound) - most)]
        elif self.frames and header.time < self.frames[-1][0] + 0.9 / self.fps:
            self.dropped += 1  # more frames than are looked at
        else:
            self.frames.append((header.time, payload))
            while self.frames[0][0] < header.time - self.options.window:
                self.frames.popleft()

    @property
    def now(self) -> float:
        """The newest moment that is held, by the client's clock."""
        return max(self.heard, self.frames[-1][0] if self.frames else 0.0)

    def sounding(self) -> bytes:
        """The sound, in whole samples."""
        return bytes(self.sound[: len(self.sound) // SAMPLE * SAMPLE])


class Live:
    """The sessions of live cameras.

    Args:
        answers: answers a window.
        access: who may ask.
        limits: of the sessions.
    """

    def __init__(self, answers: Answers, access: Access, limits: ServeParams) -> None:
        self._answers = answers
        self._access = access
        self._limits = limits

    async def serve(self, socket: WebSocket, folder: Path) -> None:
        """Answer one session until the client leaves."""
        try:
            async with asyncio.timeout(self._limits.queue_seconds):
                options = validated(LiveOptions, await socket.receive_text())
            self._access.check(socket.headers, options.key)
            held = _Held(options, self._answers.look.fps)
            listening = asyncio.create_task(self._listen(socket, held))
            telling = asyncio.create_task(self._tell(socket, held, folder))
            try:
                done, _ = await asyncio.wait({listening, telling}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                listening.cancel()
                telling.cancel()
                await asyncio.wait({listening, telling})
        except WebSocketDisconnect:
            pass
        except RefusedError as error:
            await _end(socket, str(error))
        except TimeoutError:
            await _end(socket, f"nothing came for {self._limits.queue_seconds:g} s")
        except (KeyError, ValidationError):  # text where bytes were expected, or the other way round
            await _end(socket, "found a message of another kind than expected")

    async def _listen(self, socket: WebSocket, held: _Held) -> None:
        while True:
            async with asyncio.timeout(self._limits.queue_seconds):
                message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data, text = message.get("bytes"), message.get("text")
            if data is not None:
                if len(data) > self._limits.live_bytes:
                    most = self._limits.live_bytes
                    raise RefusedError(413, f"found a message of {len(data)} bytes, expected at most {most}")
                held.add(data)
            elif text is not None:
                held.text = validated(LiveText, text).utterance[: self._limits.text]

    async def _tell(self, socket: WebSocket, held: _Held, folder: Path) -> None:
        due = time.perf_counter()
        while True:
            due = max(due + held.options.hop, time.perf_counter())  # a late answer delays the next; none is made up for
            await asyncio.sleep(due - time.perf_counter())
            if held.arrived is None:
                continue
            began, held.arrived, now = time.perf_counter(), None, held.now
            utterance = Utterance(text=held.text, clip_reason=Cause(Reason.NOTHING_CAME))
            try:
                seen = list(held.frames), held.sounding(), held.options.sample_rate
                answer = await self._answers.answer_glimpse(utterance, *seen, folder)
            except RefusedError as error:
                await socket.send_text(Problem(error=str(error)).model_dump_json())
                continue
            latency = round(time.perf_counter() - began, 6)
            told = LiveAnswer(time=now, latency=latency, dropped=held.dropped, **dict(answer))
            await socket.send_text(told.model_dump_json())


async def _end(socket: WebSocket, why: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the client may have left meanwhile
        await socket.send_text(Problem(error=why).model_dump_json())
        await socket.close(REFUSED)
