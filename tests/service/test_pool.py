"""Worker processes that crash, hang or are over a bound; all of them are real."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from emofuse.core.params import Params
from emofuse.core.records import Utterance
from emofuse.media.decode import Bounds
from emofuse.media.windows import Look
from emofuse.service.errors import RefusedError
from emofuse.service.media_pool.pool import MediaPool
from emofuse.service.media_pool.protocol import READY, SETUP, Cut, Done, ExtractJob, Setup
from tests.conftest import write_clip

BOUNDS = Bounds(streams=8, pixels=20000, seconds=2.0, frames=100)


def job(clip: Path) -> ExtractJob:
    return ExtractJob(Utterance(), {"video": clip}, {"visual": "video"})


def running(params: Params, work: Callable[[MediaPool], Awaitable[None]], **limits: float) -> None:
    """Do the work with a pool of one worker for the visual modality, which warms up fastest."""

    async def run() -> None:
        pool = MediaPool({"visual": params.visual}, params.serve.model_copy(update={"workers": 1} | limits))
        await pool.start()
        try:
            await work(pool)
        finally:
            await pool.stop()

    asyncio.run(run())


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "a.mp4")


async def refusal(pool: MediaPool, clip: Path) -> str:
    with pytest.raises(RefusedError) as error:
        await pool.extract(job(clip))
    assert error.value.status == 422
    return str(error.value)


def test_a_worker_that_died_or_hangs_is_replaced(params: Params, film: Path) -> None:
    async def work(pool: MediaPool) -> None:
        (worker,) = pool.processes()
        os.kill(worker, signal.SIGKILL)
        assert (await pool.extract(job(film))).rows["visual"] == (None, "no face found")
        (worker,) = pool.processes()
        os.kill(worker, signal.SIGSTOP)
        assert "not decoded in 3 s" in await refusal(pool, film)
        assert (await pool.extract(job(film))).rows
        assert pool.processes() != [worker]

    running(params, work, media_seconds=3.0)


def test_workers_outlive_their_fork_server_and_a_new_one_replaces_them(params: Params, film: Path) -> None:
    async def work(pool: MediaPool) -> None:
        os.kill(pool.forkserver(), signal.SIGKILL)
        assert (await pool.extract(job(film))).rows
        os.kill(pool.processes()[0], signal.SIGKILL)
        assert (await pool.extract(job(film))).rows

    running(params, work)


def test_clients_that_hang_up_while_a_worker_is_forked_leave_none_behind(
    params: Params, film: Path, tmp_path: Path
) -> None:
    long = Cut(film, [(0.0, 0.5)], 0.5, 0.5, tmp_path, Look(5.0, 64, 8000), BOUNDS)

    async def work(pool: MediaPool) -> None:
        for number in range(100):
            cuts = [pool.cut(long) for _ in range(6)]
            tasks = [asyncio.create_task(anext(cut)) for cut in cuts]
            for task in tasks[::2]:
                await asyncio.sleep(number * 2e-5)
                task.cancel()
            for task in tasks[1::2]:
                assert (await task).start == 0.0
            for cut in cuts:
                await cut.aclose()
        await asyncio.sleep(0.2)
        (worker,) = pool.processes()
        os.kill(worker, signal.SIGKILL)  # would be another's, had two calls mixed up their answers
        assert (await pool.extract(job(film))).rows
        await asyncio.sleep(0.2)
        children = Path(f"/proc/{pool.forkserver()}/task/{pool.forkserver()}/children").read_text().split()
        states = {child: Path(f"/proc/{child}/stat").read_text().rsplit(") ")[1][0] for child in children}
        assert [int(child) for child, state in states.items() if state != "Z"] == pool.processes()

    running(params, work)


@pytest.mark.parametrize("moment", ["before it is told", "while it warms up", "while it waits"])
def test_a_forkserver_whose_service_is_gone_ends_without_a_word(params: Params, moment: str) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "emofuse.service.media_pool.forkserver", str(theirs.fileno())]
        forkserver = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE)
    with ours:
        if moment != "before it is told":
            setup = Setup({"visual": params.visual.model_dump(mode="json")}, BOUNDS, 500)
            ours.sendall(SETUP.dump_json(setup) + b"\n")
        if moment == "while it waits":
            assert ours.recv(16) == READY
    assert forkserver.communicate(timeout=60) == (None, b"")
    assert forkserver.returncode == 0


def test_a_client_that_hangs_up_frees_its_worker(params: Params, film: Path) -> None:
    async def work(pool: MediaPool) -> None:
        (worker,) = pool.processes()
        os.kill(worker, signal.SIGSTOP)
        task = asyncio.create_task(pool.extract(job(film)))
        await asyncio.sleep(0.1)
        task.cancel()
        assert (await pool.extract(job(film))).rows

    running(params, work)


def test_a_clip_over_a_bound_is_refused(params: Params, film: Path, tmp_path: Path) -> None:
    async def work(pool: MediaPool) -> None:
        large = write_clip(tmp_path / "b.mp4", size=(320, 180))
        done: Done = await pool.extract(job(large))
        assert done.refused == "video: found 57600 pixels a frame, expected at most 20000"
        long = write_clip(tmp_path / "c.mp4", seconds=2.0)
        assert "seconds, expected at most 1.5" in (await pool.extract(job(long))).refused
        assert (await pool.extract(job(film))).rows

    running(params, work, pixels=20000, seconds=1.5)


def test_a_clip_that_takes_too_much_memory_costs_itself_alone(params: Params, tmp_path: Path) -> None:
    async def work(pool: MediaPool) -> None:
        large = write_clip(tmp_path / "a.mp4", size=(3840, 2160), seconds=0.5)
        done = await pool.extract(job(large))
        assert done.refused or done.rows["visual"][1].startswith("can't be decoded"), done
        assert (await pool.extract(job(write_clip(tmp_path / "b.mp4")))).rows["visual"][1] == "no face found"

    running(params, work, worker_mb=16)
