"""Hears words in processes of its own, so that who asks for none never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from emofuse.core.params import ServeParams
from emofuse.inference.heard import NOBODY, Heard
from emofuse.media.limits import Bounds
from emofuse.service.errors import RefusedError, busy
from emofuse.service.media_pool.pool import MediaPool
from emofuse.service.media_pool.protocol import Cut, Hear, HeardWords, Listener, Piece


class Listening:
    """The processes that hear words, if a recogniser is named, and who may ask them.

    Each request counts by the longest sound that it may have: the sound of all that are worked on or wait is bounded.

    Args:
        limits: of the sounds, the processes, and their time.
        listener: the recogniser's name and the language; None where nobody listens.
    """

    def __init__(self, limits: ServeParams, listener: tuple[str, str | None] | None) -> None:
        self._limits = limits
        self._pool: MediaPool | None = None
        self.recogniser: str | None = None
        self.voices: str | None = None  # the name of what tells them apart
        if listener is not None:
            from emofuse.transcription.speakers import HAND_MADE  # with clustering: nearly half a second to load

            self._pool = MediaPool({}, limits, listener=Listener(*listener, limits.speakers))
            self.recogniser = listener[0]
            self.voices = limits.speakers or HAND_MADE
        self._free = asyncio.Semaphore(limits.listeners)
        self._seconds = 0.0  # of the sounds that are worked on or wait

    async def start(self) -> None:
        """Start the processes; returns once they are warm."""
        if self._pool is not None:
            await self._pool.start()

    async def stop(self) -> None:
        """End the processes."""
        if self._pool is not None:
            await self._pool.stop()

    def check(self) -> None:
        """Let a request in that wants words.

        Raises:
            RefusedError: nobody listens.
        """
        if self._pool is None:
            raise RefusedError(422, f"transcribe: {NOBODY}")

    async def hear(self, file: Path, seconds: float | None = None) -> Heard:
        """The words of a clip.

        Args:
            file: that holds it.
            seconds: that it lasts at most, where that is known to be less than a clip may.

        Raises:
            RefusedError: it can't be decoded, or is over a limit; nobody listens, or not in time.
        """
        limits = self._limits
        bounds = Bounds(limits.streams, limits.pixels, limits.seconds, limits.frames)
        async with self._taken(limits.seconds if seconds is None else seconds) as pool:
            heard = await pool.hear(Hear(file, bounds))
        if heard.refused:
            raise RefusedError(422, f"transcribe: {heard.refused}; check that the file plays")
        return self.described(heard)

    async def cut(self, work: Cut) -> AsyncGenerator[tuple[Piece, bytes], None]:
        """Cut a film by what is heard; as `MediaPool.cut`.

        Raises:
            RefusedError: as there, or nobody listens, or not in time.
        """
        async with (
            self._taken(self._limits.timeline_seconds) as pool,
            aclosing(pool.cut(replace(work, transcribe=True))) as pieces,
        ):
            async for piece in pieces:
                yield piece

    def described(self, heard: HeardWords) -> Heard:
        """What was heard, as answers tell it."""
        return Heard.of(heard.words, heard.reason, self.recogniser or "")

    @asynccontextmanager
    async def _taken(self, seconds: float) -> AsyncIterator[MediaPool]:
        self.check()
        assert self._pool is not None
        if self._seconds + seconds > self._limits.heard_seconds:
            most = self._limits.heard_seconds
            raise busy(f"sound of up to {self._seconds:g} s is listened to or waits, at most {most:g} s may")
        self._seconds += seconds
        try:
            try:
                async with asyncio.timeout(self._limits.queue_seconds):
                    await self._free.acquire()
            except TimeoutError:
                raise busy(f"nobody was free to listen for {self._limits.queue_seconds:g} s") from None
            try:
                yield self._pool
            finally:
                self._free.release()
        finally:
            self._seconds -= seconds
