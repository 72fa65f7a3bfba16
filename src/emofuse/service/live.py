"""A live camera: frames and sound come over a WebSocket, and every hop the newest window is answered."""

from __future__ import annotations

import asyncio
import time
import wave
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emofuse.core.params import ServeParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Utterance
from emofuse.service.access import Access
from emofuse.service.errors import RefusedError
from emofuse.service.folders import Folders
from emofuse.service.inference import Answers
from emofuse.service.media_pool.protocol import PackedClip
from emofuse.service.parsing import validated
from emofuse.service.schemas import LiveAnswer, LiveOptions, LiveText, LiveWords, Problem

HEADER = 200  # bytes of the longest header of a message
REFUSED = 1008  # the WebSocket status of a broken rule
SAMPLE = 2  # bytes, signed, little endian
FARTHEST = 1e10  # seconds on any clock, that of Unix too
AHEAD = 60.0  # seconds by which a time may be after the newest so far
BEHIND = 1.0  # seconds by which a time may be before the newest of its kind: messages may change places
JITTER = 0.2  # seconds between two parts of the sound that are no gap: clients stamp them by another clock than record


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["frame", "sound"]
    time: Annotated[float, Field(ge=-FARTHEST, le=FARTHEST, allow_inf_nan=False)]


@dataclass
class _Recent:
    """What came last: the frames and the sound of one window, on one clock. What is older is dropped, answered or not.

    Attributes:
        options: of the session.
        fps: frames a second that are looked at.
        most_bytes: of the frames.
        sound_start: when the sound begins that is still here, by the client's clock.
        arrived: when the newest came that is not answered yet.
    """

    options: LiveOptions
    fps: float
    most_bytes: int
    frames: deque[tuple[float, bytes]] = field(default_factory=deque)
    sound: bytearray = field(default_factory=bytearray)
    sound_start: float = 0.0
    text: str = ""
    arrived: float | None = None
    dropped: int = 0

    def add(self, message: bytes) -> None:
        """Take a frame or a part of the sound.

        Raises:
            RefusedError: its header is broken, its time does not fit those before, or the frames are too large.
        """
        head, end, payload = message.partition(b"\n")
        if not end or len(head) > HEADER:
            raise RefusedError(422, 'found no header; expected {"kind": "frame", "time": 1.5}, a line end, the bytes')
        header = validated(_Header, head)
        if (self.frames or self.sound) and header.time > self.now + AHEAD:
            raise _misplaced(header, self.now)
        if header.kind == "sound":
            self._add_sound(header, payload)
        else:
            self._add_frame(header, payload)
        self._forget()
        if self.frames or self.sound:
            self.arrived = time.perf_counter()

    def _add_frame(self, header: _Header, picture: bytes) -> None:
        if self.frames and header.time < self.frames[-1][0] - BEHIND:
            raise _misplaced(header, self.frames[-1][0])
        if self.frames and header.time < self.frames[-1][0] + 0.9 / self.fps:
            self.dropped += 1  # more frames than are looked at
            return
        self.frames.append((header.time, picture))

    def _add_sound(self, header: _Header, samples: bytes) -> None:
        """Put each sample at its time: a gap is silence, and what was there before stays."""
        if len(samples) % SAMPLE:
            raise RefusedError(422, f"found sound of {len(samples)} bytes, expected whole samples of {SAMPLE}")
        if not samples:
            return
        rate = self.options.sample_rate
        gap = header.time - self.sound_end if self.sound else 0.0
        if gap < -BEHIND:
            raise _misplaced(header, self.sound_end)
        if not self.sound or gap > self.options.window:
            self.sound, self.sound_start = bytearray(samples), header.time
        elif gap > JITTER:
            self.sound += bytes(round(gap * rate) * SAMPLE) + samples
        else:
            self.sound += samples[round(-gap * rate) * SAMPLE :] if gap < -JITTER else samples

    def _forget(self) -> None:
        oldest = self.now - self.options.window
        while self.frames and self.frames[0][0] < oldest:
            self.frames.popleft()
        rate = self.options.sample_rate
        old = min(max(0, round((oldest - self.sound_start) * rate)), len(self.sound) // SAMPLE)
        del self.sound[: old * SAMPLE]
        self.sound_start += old / rate
        size = sum(len(picture) for _, picture in self.frames)
        if size > self.most_bytes:
            raise RefusedError(
                413,
                f"found frames of {size} bytes in a window of {self.options.window:g} s, expected at most "
                f"{self.most_bytes}; send smaller pictures or a shorter window",
            )

    @property
    def sound_end(self) -> float:
        """When the sound ends, by the client's clock."""
        return self.sound_start + len(self.sound) / SAMPLE / self.options.sample_rate

    @property
    def now(self) -> float:
        """The newest moment, by the client's clock."""
        ends = [self.frames[-1][0]] if self.frames else []
        return max([*ends, self.sound_end] if self.sound else ends, default=0.0)

    def packed(self) -> tuple[PackedClip, bytes, float]:
        """The window as a clip, its bytes, and when it starts, by the client's clock."""
        starts = [moment for moment, _ in self.frames][:1] + ([self.sound_start] if self.sound else [])
        start, rate = min(starts), self.options.sample_rate
        samples = np.frombuffer(bytes(self.sound), "<i2").astype("<i4") << 16
        if len(samples):  # what comes before the sound is silence
            samples = np.pad(samples, (round((self.sound_start - start) * rate), 0))
        pictures = [(moment - start, 0, len(picture)) for moment, picture in self.frames]
        clip = PackedClip(pictures, len(samples), rate, self.now - start)
        return clip, b"".join([*(picture for _, picture in self.frames), samples.tobytes()]), start


def _misplaced(header: _Header, newest: float) -> RefusedError:
    return RefusedError(
        422,
        f"time: found a {header.kind} at {header.time:g} s after one at {newest:g} s; "
        f"expected times that move forward, by at most {AHEAD:g} s at once",
    )


class Live:
    """The sessions of live cameras.

    Args:
        answers: answers a window.
        access: who may ask.
        limits: of the sessions.
        folders: hold the sound that is listened to.
    """

    def __init__(self, answers: Answers, access: Access, limits: ServeParams, folders: Folders) -> None:
        self._answers = answers
        self._access = access
        self._limits = limits
        self._folders = folders

    async def serve(self, socket: WebSocket) -> None:
        """Answer one session until the client leaves."""
        try:
            async with asyncio.timeout(self._limits.queue_seconds):
                options = validated(LiveOptions, await socket.receive_text())
            self._access.check(socket.headers, options.key)
            recent = _Recent(options, self._answers.look.fps, self._limits.live_window_bytes)
            parts = [self._listen, self._tell]
            if options.transcribe:
                self._answers.listening.check()
                parts.append(self._tell_words)
            tasks = [asyncio.create_task(part(socket, recent)) for part in parts]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
        except WebSocketDisconnect:
            pass
        except RefusedError as error:
            await _end(socket, str(error))
        except TimeoutError:
            await _end(socket, f"nothing came for {self._limits.queue_seconds:g} s")
        except (KeyError, ValidationError):  # text where bytes were expected, or the other way round
            await _end(socket, "found a message of another kind than expected")

    async def _listen(self, socket: WebSocket, recent: _Recent) -> None:
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
                recent.add(data)
            elif text is not None:
                recent.text = validated(LiveText, text).utterance[: self._limits.text]

    async def _tell(self, socket: WebSocket, recent: _Recent) -> None:
        due = time.perf_counter()
        while True:
            # A late answer delays the next; none is made up for.
            due = max(due + recent.options.hop, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())
            if recent.arrived is None:
                continue
            began, recent.arrived, now = time.perf_counter(), None, recent.now
            utterance = Utterance(text=recent.text, clip_reason=Cause(Reason.NOTHING_CAME))
            try:
                answer = await self._answers.answer_memory(utterance, *recent.packed())
            except RefusedError as error:
                await socket.send_text(Problem(error=str(error)).model_dump_json())
                continue
            latency = round(time.perf_counter() - began, 6)
            live = LiveAnswer(time=now, latency=latency, dropped=recent.dropped, **dict(answer))
            await socket.send_text(live.model_dump_json())

    async def _tell_words(self, socket: WebSocket, recent: _Recent) -> None:
        """Tell the words of the newest window each time that half of it is new, one window at a time."""
        options, heard_to = recent.options, -FARTHEST
        while True:
            await asyncio.sleep(options.hop)
            start, end = recent.sound_start, recent.sound_end
            if not recent.sound or end < heard_to + options.window / 2:
                continue
            heard_to = end
            try:
                with self._folders.one() as folder:
                    file = await asyncio.to_thread(_stored, bytes(recent.sound), options.sample_rate, folder)
                    heard = await self._answers.listening.hear(file, options.window)
            except RefusedError as error:
                problem = Problem(error=f"transcribe: {str(error).removeprefix('transcribe: ')}")
                await socket.send_text(problem.model_dump_json())
                continue
            words = [
                word.model_copy(update={"start": round(start + word.start, 3), "end": round(start + word.end, 3)})
                for word in heard.words
            ]
            message = LiveWords(time=end, heard=heard.model_copy(update={"words": words}))
            await socket.send_text(message.model_dump_json())


def _stored(samples: bytes, rate: int, folder: Path) -> Path:
    """A sound as a file in a new folder."""
    folder.mkdir()
    path = folder / "sound.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, SAMPLE, rate, 0, "NONE", ""))
        file.writeframes(samples)
    return path


async def _end(socket: WebSocket, why: str) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):  # the client may have left meanwhile
        await socket.send_text(Problem(error=why).model_dump_json())
        await socket.close(REFUSED)
