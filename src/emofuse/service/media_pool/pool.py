"""The worker processes, seen from the service: a clip that hangs or crashes its worker costs that request alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import ParamSpec, TypeVar

from pydantic import ValidationError

from emofuse.core.device import available_cores
from emofuse.core.params import ExtractorParams, ServeParams
from emofuse.media.decode import Bounds
from emofuse.media.windows import Window
from emofuse.service.errors import RefusedError, busy
from emofuse.service.media_pool.forkserver_client import ForkServer
from emofuse.service.media_pool.protocol import DONE, NEXT, PIECE, WORK, Cut, Done, ExtractJob, Glimpse, Setup

JOBS = 200  # that a worker answers before a fresh one takes its place, so that leaks of decoders don't add up
LINE = 2**24  # bytes of the longest answer
WATCHED = 0.5  # seconds between looks at the fork server


P = ParamSpec("P")
T = TypeVar("T")


async def _whole(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Wait for a call in a thread, to its end even when cancelled.

    A thread can't be stopped: left behind, it would take the fork server's answer to the next call for its own.
    """
    thread = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(thread)
    finally:
        while not thread.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([thread])


class _DiedError(Exception):
    """A worker ended in the middle of a job."""


class _Worker:
    """One worker process and the channel to it."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.jobs = 0
        self._reader, self._writer = reader, writer

    async def ask(self, job: ExtractJob | Glimpse) -> Done:
        """Have a job done.

        Raises:
            _DiedError: it ended, or gave no answer of ours.
        """
        self.jobs += 1
        try:
            return DONE.validate_json(await self.told(WORK.dump_json(job) + b"\n"))
        except ValidationError:  # no answer of ours: it is not to be trusted any more
            raise _DiedError from None

    async def told(self, line: bytes) -> bytes:
        """The line that it answers to a line.

        Raises:
            _DiedError: it ended.
        """
        try:
            self._writer.write(line)
            await self._writer.drain()
            answer = await self._reader.readline()
        except ConnectionError:
            raise _DiedError from None
        if not answer.endswith(b"\n"):
            raise _DiedError
        return answer

    def close(self) -> None:
        """Close the channel, at which an idle worker ends."""
        self._writer.close()


class MediaPool:
    """Extracts clips in worker processes.

    Args:
        extractors: the params of the modalities that are extracted there.
        limits: of the clips, the workers, and their time.
    """

    def __init__(self, extractors: Mapping[str, ExtractorParams], limits: ServeParams) -> None:
        self._limits = limits
        self.size = limits.workers or available_cores()
        self._setup = Setup(
            {modality: params.model_dump(mode="json") for modality, params in extractors.items()},
            Bounds(limits.streams, limits.pixels, limits.seconds, limits.frames),
            limits.worker_mb,
        )
        self._workers: set[_Worker] = set()
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._forkserver: ForkServer | None = None

    async def start(self) -> None:
        """Start the fork server and the workers; returns once they are warm."""
        for _ in range(self.size):
            self._idle.put_nowait(await self._fork())
        self._spawn(self._watch())

    async def stop(self) -> None:
        """End every process of the pool."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for worker in self._workers:
            worker.close()
        async with self._lock:
            if self._forkserver is not None:
                await asyncio.to_thread(self._forkserver.stop)

    def processes(self) -> list[int]:
        """The process ids of the workers, busy ones too."""
        return sorted(worker.number for worker in self._workers)

    def forkserver(self) -> int:
        """The process id of the fork server."""
        assert self._forkserver is not None
        return self._forkserver.number

    async def extract(self, job: ExtractJob | Glimpse) -> Done:
        """Extract a clip.

        Raises:
            RefusedError: no worker is free in time, or the clip takes too long or crashes its worker, twice.
        """
        for _ in range(2):  # a worker may die for a reason of its own
            try:
                async with self._lent() as worker, asyncio.timeout(self._limits.media_seconds):
                    return await worker.ask(job)
            except TimeoutError:
                limit = f"{self._limits.media_seconds:g} s"
                raise RefusedError(422, f"not decoded in {limit}; send a shorter or smaller clip") from None
            except _DiedError:
                continue
        raise RefusedError(422, "crashes the decoder; check that the file plays")

    async def cut(self, work: Cut) -> AsyncGenerator[Window, None]:
        """Cut a long video, in a worker of its own; a window is cut when it is asked for.

        Raises:
            RefusedError: the video can't be decoded or is over a limit, or a window takes too long.
        """
        worker = await self._fork()
        line = WORK.dump_json(work) + b"\n"
        try:
            while True:
                async with asyncio.timeout(self._limits.media_seconds):
                    piece = PIECE.validate_json(await worker.told(line))
                if piece.refused:
                    raise RefusedError(422, f"video: {piece.refused}; check that the file plays")
                if piece.window is None:
                    return
                yield piece.window
                line = NEXT
        except (TimeoutError, _DiedError):
            raise RefusedError(422, "video: crashes the decoder or is too slow to decode") from None
        finally:
            self._spawn(self._end(worker))

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[_Worker]:
        """A worker for one job; one that does not end it well, or has done many, is replaced."""
        try:
            async with asyncio.timeout(self._limits.queue_seconds):
                worker = await self._idle.get()
        except TimeoutError:
            raise busy(f"no worker was free in {self._limits.queue_seconds:g} s") from None
        well = False
        try:
            yield worker
            well = worker.jobs < JOBS
        finally:
            if well:
                self._idle.put_nowait(worker)
            else:
                self._spawn(self._replace(worker))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replace(self, worker: _Worker) -> None:
        self._idle.put_nowait(await self._fork(self._closed(worker)))

    async def _end(self, worker: _Worker) -> None:
        number = self._closed(worker)
        async with self._lock:
            if self._forkserver is not None:
                with suppress(OSError):
                    await _whole(self._forkserver.kill, number)

    def _closed(self, worker: _Worker) -> int:
        worker.close()
        self._workers.discard(worker)
        return worker.number

    async def _fork(self, instead_of: int | None = None) -> _Worker:
        """A new worker; where the fork server is gone, from a new one."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                number = await self._forked(theirs, instead_of)
            worker = _Worker(number, *await asyncio.open_connection(sock=ours, limit=LINE))
        except BaseException:  # the service may end meanwhile
            ours.close()
            raise
        self._workers.add(worker)
        return worker

    async def _forked(self, channel: socket.socket, instead_of: int | None) -> int:
        async with self._lock:
            while True:
                if self._forkserver is None:
                    self._forkserver = await _whole(self._started)
                try:
                    if instead_of is not None:
                        await _whole(self._forkserver.kill, instead_of)
                    return await _whole(self._forkserver.fork, channel)
                except OSError:
                    self._forkserver.stop()
                    self._forkserver = None

    async def _watch(self) -> None:
        """Have a new fork server ready before a worker is wanted from it."""
        while True:
            await asyncio.sleep(WATCHED)
            async with self._lock:
                if self._forkserver is not None and not self._forkserver.alive():
                    self._forkserver.stop()
                    await _whole(self._started)

    def _started(self) -> ForkServer:
        """Start a fork server; it is kept even if nobody waits for it any more, so that `stop` ends it."""
        self._forkserver = ForkServer(self._setup)
        return self._forkserver
