"""The worker processes, seen from the service: a clip that hangs or crashes its worker costs that request alone."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from pydantic import TypeAdapter

from emofuse.core.device import available_cores
from emofuse.core.params import ExtractorParams, ServeParams
from emofuse.media.limits import Bounds
from emofuse.service.errors import RefusedError, busy
from emofuse.service.media_pool.forkserver_client import ForkServer
from emofuse.service.media_pool.protocol import (
    DONE,
    HEARD,
    NEXT,
    PIECE,
    WORK,
    Cut,
    Done,
    ExtractJob,
    Hear,
    HeardWords,
    Listener,
    MemoryJob,
    Piece,
    Setup,
)

JOBS = 200  # that a worker answers before a fresh one takes its place, so that leaks of decoders don't add up
LINE = 2**24  # bytes of the longest answer
WATCHED = 0.5  # seconds between looks at the processes
LONGEST_WAIT = 30.0  # seconds between tries to start a fork server, of which each but the first waits twice as long

_log = logging.getLogger(__name__)
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

    async def ask(self, message: bytes, kind: TypeAdapter[T]) -> T:
        """Have a job done, whose answer is of a kind.

        Raises:
            _DiedError: it ended, or gave no answer of ours.
        """
        self.jobs += 1
        return await self._reply(message, kind)

    async def piece(self, line: bytes, most_bytes: int) -> tuple[Piece, bytes]:
        """The next window of a video and its bytes.

        Raises:
            _DiedError: it ended, or gave no answer of ours.
        """
        piece = await self._reply(line, PIECE)
        size = piece.clip.size if piece.clip is not None else 0
        if not 0 <= size <= most_bytes:
            raise _DiedError
        try:
            return piece, await self._reader.readexactly(size)
        except (ConnectionError, EOFError):
            raise _DiedError from None

    async def _reply(self, message: bytes, kind: TypeAdapter[T]) -> T:
        try:
            self._writer.write(message)
            await self._writer.drain()
            return kind.validate_json(await self._reader.readline())
        except (ConnectionError, ValueError):  # the latter where it is no answer of ours: not to be trusted any more
            raise _DiedError from None

    @property
    def gone(self) -> bool:
        """Whether it ended."""
        return self._reader.at_eof()

    def close(self) -> None:
        """Close the channel, at which an idle worker ends."""
        self._writer.close()


class MediaPool:
    """Extracts clips in worker processes.

    Args:
        extractors: the params of the modalities that are extracted there.
        limits: of the clips, the workers, and their time.
        assets: the bundle's folder of weights that extractors need.
        listener: where these processes hear words.
    """

    def __init__(
        self,
        extractors: Mapping[str, ExtractorParams],
        limits: ServeParams,
        assets: Path | None = None,
        listener: Listener | None = None,
    ) -> None:
        self._limits = limits
        self._seconds = limits.listen_seconds if listener else limits.media_seconds
        self.size = limits.listeners if listener else limits.workers or available_cores()
        self._setup = Setup(
            {modality: params.model_dump(mode="json") for modality, params in extractors.items()},
            Bounds(limits.streams, limits.pixels, limits.seconds, limits.frames),
            limits.worker_mb,
            self._seconds,
            assets,
            listener,
        )
        self._workers: set[_Worker] = set()
        self._cutting: set[_Worker] = set()  # beside them: each has a film
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._ended: list[int] = []  # workers that are to be killed
        self._wanted = asyncio.Event()  # whether there is something to kill or to fork
        self._lock = asyncio.Lock()  # of the fork server
        self._forkserver: ForkServer | None = None
        self._tending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the fork server and the workers; returns once they are warm.

        Raises:
            OSError: the fork server can't be started.
        """
        await self._refill()
        self._tending = asyncio.create_task(self._tend())

    async def stop(self) -> None:
        """End every process of the pool."""
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.wait([self._tending])
        for worker in self._workers | self._cutting:
            worker.close()
        async with self._lock:
            await self._drop()

    @property
    def ready(self) -> bool:
        """Whether there is a worker, be it busy."""
        return any(not worker.gone for worker in self._workers)

    def processes(self) -> list[int]:
        """The process ids of the workers, busy ones too."""
        return sorted(worker.number for worker in self._workers | self._cutting)

    def forkserver(self) -> int:
        """The process id of the fork server."""
        assert self._forkserver is not None
        return self._forkserver.number

    async def extract(self, job: ExtractJob | MemoryJob, data: bytes = b"") -> Done:
        """Extract a clip; `data` are the bytes of one in memory.

        Raises:
            RefusedError: no worker is free in time, or the clip takes too long or crashes its worker, twice.
        """
        return await self._asked(WORK.dump_json(job) + b"\n" + data, DONE)

    async def hear(self, job: Hear) -> HeardWords:
        """Hear the words of a clip.

        Raises:
            RefusedError: as `extract`.
        """
        return await self._asked(WORK.dump_json(job) + b"\n", HEARD)

    async def _asked(self, message: bytes, kind: TypeAdapter[T]) -> T:
        for _ in range(2):  # a worker may die for a reason of its own
            try:
                async with self._lent() as worker, asyncio.timeout(self._seconds):
                    return await worker.ask(message, kind)
            except TimeoutError:
                limit = f"{self._seconds:g} s"
                raise RefusedError(422, f"not decoded in {limit}; send a shorter or smaller clip") from None
            except _DiedError:
                continue
        raise RefusedError(422, "crashes the decoder; check that the file plays")

    async def cut(self, work: Cut) -> AsyncGenerator[tuple[Piece, bytes], None]:
        """Cut a film, in a worker of its own; a window, with its bytes, is cut when it is asked for.

        Where voices are told apart, pieces before the first say how far the film was listened to.

        Raises:
            RefusedError: the video can't be decoded or is over a limit, a window takes too long, or there is no worker.
        """
        try:
            if self._forkserver is None:
                raise ConnectionResetError("the fork server is gone")
            worker = await self._fork()
        except OSError:
            raise busy("no worker can be had") from None
        self._cutting.add(worker)
        line = WORK.dump_json(work) + b"\n"
        try:
            while True:
                async with asyncio.timeout(self._seconds):
                    piece, data = await worker.piece(line, self._limits.worker_mb * 2**20)
                if piece.refused:
                    raise RefusedError(422, f"video: {piece.refused}; check that the file plays")
                if piece.clip is None and not piece.listening:
                    return
                yield piece, data
                line = NEXT
        except (TimeoutError, _DiedError):
            raise RefusedError(422, "video: crashes the decoder or is too slow to decode") from None
        finally:
            self._retire(worker)

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[_Worker]:
        """A worker for one job; one that does not end it well, or has done many, is replaced."""
        try:
            async with asyncio.timeout(self._limits.queue_seconds):
                while (worker := await self._idle.get()).gone:
                    self._retire(worker)
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
                self._retire(worker)

    def _retire(self, worker: _Worker) -> None:
        worker.close()
        self._workers.discard(worker)
        self._cutting.discard(worker)
        self._ended.append(worker.number)
        self._wanted.set()

    async def _tend(self) -> None:
        """Replace what died, for as long as it takes: while it fails, ever more rarely."""
        wait = WATCHED
        while True:
            try:
                await self._refill()
                wait = WATCHED
                with suppress(TimeoutError):  # wait_for would lose a cancellation that comes with the event
                    async with asyncio.timeout(wait):
                        await self._wanted.wait()
            except Exception as error:  # whatever it is, the next try may do better
                _log.warning("no process that opens clips can be started: %s; trying again in %g s", error, wait)
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)

    async def _refill(self) -> None:
        """Kill the workers that are retired, and fork those that are missing.

        Raises:
            OSError: no fork server can be had.
        """
        self._wanted.clear()
        for _ in range(self._idle.qsize()):
            worker = self._idle.get_nowait()
            if worker.gone:
                self._retire(worker)
            else:
                self._idle.put_nowait(worker)
        async with self._serving() as forkserver:
            while self._ended:
                await _whole(forkserver.kill, self._ended[-1])
                self._ended.pop()
        while len(self._workers) < self.size:
            worker = await self._fork()
            self._workers.add(worker)
            self._idle.put_nowait(worker)

    async def _fork(self) -> _Worker:
        """A new worker.

        Raises:
            OSError: no fork server can be had.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                async with self._serving() as forkserver:
                    number = await _whole(forkserver.fork, theirs)
            return _Worker(number, *await asyncio.open_connection(sock=ours, limit=LINE))
        except BaseException:  # the service may end meanwhile
            ours.close()
            raise

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[ForkServer]:
        """The fork server, for this task alone; a new one where it is gone. One that fails is ended.

        Raises:
            OSError: none can be had.
        """
        async with self._lock:
            if self._forkserver is not None and not self._forkserver.alive():
                await self._drop()
            try:
                yield self._forkserver if self._forkserver is not None else await _whole(self._started)
            except Exception:
                await self._drop()
                raise

    async def _drop(self) -> None:
        """End the fork server. Its workers are killed with it, or end by themselves."""
        forkserver, self._forkserver = self._forkserver, None
        self._ended.clear()  # their numbers may be those of others soon
        if forkserver is not None:
            await _whole(forkserver.stop)

    def _started(self) -> ForkServer:
        """Start a fork server; it is kept even if nobody waits for it any more, so that `stop` ends it."""
        self._forkserver = ForkServer(self._setup)
        return self._forkserver
