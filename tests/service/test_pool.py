"""Worker processes that crash, hang or are over a bound; all of them are real."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.params import Params
from emofuse.core.records import Utterance
from emofuse.features.registry import make_extractor
from emofuse.media.limits import Bounds
from emofuse.media.windows import Look
from emofuse.service.errors import RefusedError
from emofuse.service.media_pool.pool import MediaPool, _DiedError
from emofuse.service.media_pool.protocol import FORK, READY, SETUP, WORK, Cut, Done, ExtractJob, MemoryJob, Setup
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


def programs(folder: Path) -> dict[str, str]:
    """What stands where Python should: programs that start no fork server, each in its own way."""
    (folder / "text").write_text("no program")
    return {"fails": "/bin/false", "is gone": str(folder / "gone"), "can't be run": str(folder / "text")}


@pytest.mark.parametrize("program", ["fails", "is gone", "can't be run"])
def test_a_pool_that_lost_everything_tries_until_it_comes_back(
    params: Params, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    cut = Cut(film, [(0.0, 0.5)], 0.5, 0.5, Look(5.0, 64, 8000), BOUNDS)

    async def work(pool: MediaPool) -> None:
        assert pool.ready
        (worker,), forkserver = pool.processes(), pool.forkserver()
        with monkeypatch.context() as broken:
            broken.setattr(sys, "executable", programs(tmp_path)[program])
            os.kill(forkserver, signal.SIGKILL)
            os.kill(worker, signal.SIGKILL)
            await asyncio.sleep(0.2)
            assert not pool.ready
            opened = len(list(Path("/proc/self/fd").iterdir()))
            for task in (pool.extract(job(film)), anext(pool.cut(cut))):
                with pytest.raises(RefusedError, match="no worker") as refused:
                    await task
                assert refused.value.status == 503
            await asyncio.sleep(2)  # several tries
            assert not pool.ready
            assert len(list(Path("/proc/self/fd").iterdir())) <= opened
        async with asyncio.timeout(30):
            while not pool.ready:
                await asyncio.sleep(0.1)
        assert (await pool.extract(job(film))).rows
        assert (await anext(pool.cut(cut)))[0].end == 0.5

    running(params, work, queue_seconds=0.3)


def worker(params: Params, job_seconds: float) -> tuple[subprocess.Popen[bytes], socket.socket, socket.socket, int]:
    """A fork server with a worker whose films have more frames than it has time for; their channels, its number."""
    control, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "emofuse.service.media_pool.forkserver", str(theirs.fileno())]
        forkserver = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    visual = params.visual.model_copy(update={"fps": 120, "width": 640})
    bounds = Bounds(streams=8, pixels=10**6, seconds=60, frames=1000)
    setup = Setup({"visual": visual.model_dump(mode="json")}, bounds, 500, job_seconds)
    control.sendall(SETUP.dump_json(setup) + b"\n")
    assert control.recv(16) == READY
    channel, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(control, [FORK], [theirs.fileno()])
    return forkserver, control, channel, int(control.recv(16))


def test_a_worker_that_hangs_ends_though_nobody_is_left_to_kill_it(params: Params, tmp_path: Path) -> None:
    film = write_clip(tmp_path / "a.mp4", seconds=8, size=(640, 360), fps=60)
    forkserver, control, channel, _ = worker(params, job_seconds=0.02)
    with control, channel:
        forkserver.kill()
        forkserver.wait()
        began = time.monotonic()
        channel.sendall(WORK.dump_json(job(film)) + b"\n")
        channel.settimeout(20)
        assert channel.recv(1) == b""  # it ended without an answer
        assert time.monotonic() - began < 3


def test_a_worker_that_hangs_ends_with_its_service(params: Params) -> None:
    forkserver, control, channel, number = worker(params, 60)
    with channel:
        os.kill(number, signal.SIGSTOP)
        control.close()
        channel.settimeout(20)
        assert channel.recv(1) == b""
        assert forkserver.wait(20) == 0


@pytest.mark.slow
def test_clients_that_hang_up_while_a_worker_is_forked_leave_none_behind(
    params: Params, film: Path, tmp_path: Path
) -> None:
    long = Cut(film, [(0.0, 0.5)], 0.5, 0.5, Look(5.0, 64, 8000), BOUNDS)

    async def work(pool: MediaPool) -> None:
        for number in range(100):
            cuts = [pool.cut(long) for _ in range(6)]
            tasks = [asyncio.create_task(anext(cut)) for cut in cuts]
            for task in tasks[::2]:
                await asyncio.sleep(number * 2e-5)
                task.cancel()
            for task in tasks[1::2]:
                assert (await task)[0].end == 0.5
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
            setup = Setup({"visual": params.visual.model_dump(mode="json")}, BOUNDS, 500, 10.0)
            ours.sendall(SETUP.dump_json(setup) + b"\n")
        if moment == "while it waits":
            assert ours.recv(16) == READY
    assert forkserver.communicate(timeout=60) == (None, b"")
    assert forkserver.returncode == 0


def test_a_window_crosses_from_worker_to_worker_as_it_was_cut(params: Params, corpus: Path) -> None:
    clips = sorted((corpus / "output_repeated_splits_test").glob("*.mp4"), key=lambda path: path.stat().st_size)
    look = Look(params.visual.fps, params.visual.width, params.audio.sample_rate)
    bounds = Bounds(streams=8, pixels=10**6, seconds=60.0, frames=1000)

    async def work(pool: MediaPool) -> None:
        for clip in clips[-2:]:
            whole = await pool.extract(job(clip))
            ((piece, data),) = [window async for window in pool.cut(Cut(clip, [(0.0, 60.0)], 4, 4, look, bounds))]
            assert piece.clip is not None
            assert len(data) == piece.clip.size > 10**6
            again = await pool.extract(MemoryJob(Utterance(), ("visual",), piece.clip, look.width), data)
            assert again.people == whole.people
            (first, _), (second, _) = whole.rows["visual"], again.rows["visual"]
            assert first is not None and second is not None
            np.testing.assert_allclose(second, first, atol=1e-3)

    running(params, work)


def test_a_window_larger_than_a_worker_may_be_ends_its_worker(params: Params, film: Path) -> None:
    cut = Cut(film, [], 1.0, 1.0, Look(5.0, 64, 8000), BOUNDS)

    async def work(pool: MediaPool) -> None:
        worker = await pool._fork()
        line = WORK.dump_json(cut) + b"\n"
        with pytest.raises(_DiedError):
            await worker.piece(line, most_bytes=10_000)
        worker.close()
        assert [piece.start async for piece, _ in pool.cut(cut)] == [0.0]

    running(params, work)


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

    running(params, work, worker_mb=48)


def test_workers_hear_sounds_through_the_encoder_as_the_pipeline_does(params: Params, film: Path) -> None:
    audio = params.audio.model_copy(update={"encoder": "embedded", "groups": ["activity", "rms"]})
    [wanted] = make_extractor(audio).extract([Utterance(clip=film)])

    async def run() -> Done:
        pool = MediaPool({"audio": audio}, params.serve.model_copy(update={"workers": 1}))
        await pool.start()
        try:
            return await pool.extract(ExtractJob(Utterance(), {"video": film}, {"audio": "video"}))
        finally:
            await pool.stop()

    values, reason = asyncio.run(run()).rows["audio"]
    assert reason == "" and wanted.values is not None and values is not None
    np.testing.assert_array_equal(np.array(values, np.float32), wanted.values)
