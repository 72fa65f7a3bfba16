"""Measure a running service on this machine: `python -m benchmarks.service PART --url http://127.0.0.1:3000`.

Every part is bounded in requests or minutes and stops by itself. Start the service first (`make serve`), alone on the
machine, since times are taken; `first` starts one of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import av
import httpx
import psutil
from httpx_ws import AsyncWebSocketSession, aconnect_ws

from benchmarks import mutants
from benchmarks.serving import started
from emofuse.media.clip import FileClip

TEXT = "I can't believe you did that!"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def quantiles(times: list[float]) -> str:
    """Median and the tail, in milliseconds."""
    ordered = sorted(times)
    p = {share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 for share in (0.5, 0.95, 0.99)}
    return f"p50 {p[0.5]:.0f} ms, p95 {p[0.95]:.0f}, p99 {p[0.99]:.0f} ({p[0.99] / p[0.5]:.2f} x p50), n {len(times)}"


async def one(client: httpx.AsyncClient, clip: bytes) -> httpx.Response:
    """Send a clip with a text."""
    return await client.post("/predict", files={"video": clip}, data={"utterance": TEXT})


async def clips(client: httpx.AsyncClient, clip: bytes, count: int) -> None:
    """One client that sends a clip with a text, again and again."""
    times, service = [], []
    for _ in range(count):
        began = time.perf_counter()
        answer = (await one(client, clip)).raise_for_status().json()
        times.append(time.perf_counter() - began)
        spent = answer["seconds"]
        service.append(times[-1] - sum(spent[step] for step in spent if step not in ("total", "workers")))
    print(f"a clip with text, one client: {quantiles(times)}")
    print(f"beyond the extractors and the model: {statistics.median(service) * 1000:.1f} ms")


async def first(clip: bytes, count: int) -> None:
    """The first clip that a service is sent once it says that it is ready, against those after it."""
    times = []
    with started() as url:
        async with httpx.AsyncClient(base_url=url, timeout=120) as client:
            await client.get("/livez")  # opens the connection
            for _ in range(1 + count):
                began = time.perf_counter()
                (await one(client, clip)).raise_for_status()
                times.append(time.perf_counter() - began)
    ratio = times[0] / statistics.median(times[1:])
    print(f"first request after /readyz: {times[0] * 1000:.0f} ms, {ratio:.2f} x p50; after it {quantiles(times[1:])}")


async def texts(client: httpx.AsyncClient, count: int, clients: int = 16) -> None:
    """Several clients that send texts."""
    words = TEXT.split()
    sent = iter(range(count))
    times: list[float] = []

    async def work() -> None:
        for number in sent:
            began = time.perf_counter()
            said = " ".join(words[: 1 + number % len(words)]) + f" {number}"
            (await client.post("/predict", json={"utterance": said})).raise_for_status()
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(clients)))
    print(f"text alone, {clients} clients: {count / (time.perf_counter() - began):.0f} requests/s, {quantiles(times)}")


async def timeline(client: httpx.AsyncClient, clip: bytes, minutes: float) -> None:
    """A long video, made of a clip again and again."""
    with tempfile.TemporaryDirectory() as folder:
        film = repeated(clip, Path(folder), minutes * 60)
        first = None
        began = time.perf_counter()
        with film.open("rb") as video:
            async with client.stream("POST", "/timeline", files={"video": video}) as answer:
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    first = first or time.perf_counter() - began
                    last = json.loads(line)
        spent = time.perf_counter() - began
    print(f"long video: {last}; {last['video_seconds'] / spent:.1f} x real time, first answer after {first:.2f} s")


def repeated(clip: bytes, folder: Path, seconds: float) -> Path:
    """A clip again and again, its packets copied."""
    (folder / "one.mp4").write_bytes(clip)
    with av.open(str(folder / "one.mp4")) as source, av.open(str(folder / "long.mp4"), "w") as target:
        length = (source.duration or 0) / av.time_base
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for turn in range(max(1, round(seconds / length))):
            source.seek(0)
            for packet in source.demux():
                if packet.dts is None or packet.pts is None:
                    continue
                shift = round(turn * length / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = streams[packet.stream_index]
                target.mux(packet)
    return folder / "long.mp4"


async def live(client: httpx.AsyncClient, clip: bytes, minutes: float) -> None:
    """A camera at 640x360 that plays a clip again and again, five frames a second."""
    import cv2

    with tempfile.NamedTemporaryFile() as file:
        file.write(clip)
        file.flush()
        frames = [cv2.resize(frame, (640, 360)) for _, frame in FileClip(Path(file.name)).frames(5, 640)]
    pictures = [cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames]
    sound = bytes(16000 * 2 // 5)
    latencies: list[float] = []
    ends = time.perf_counter() + minutes * 60
    socket: AsyncWebSocketSession
    async with aconnect_ws("/live", client, keepalive_ping_interval_seconds=None) as socket:
        await socket.send_text('{"hop": 0.5, "window": 3}')

        async def play() -> None:
            began, number = time.perf_counter(), 0
            while time.perf_counter() < ends:
                for kind, payload in (("frame", pictures[number % len(pictures)]), ("sound", sound)):
                    await socket.send_bytes(json.dumps({"kind": kind, "time": number / 5}).encode() + b"\n" + payload)
                number += 1
                await asyncio.sleep(max(0, began + number / 5 - time.perf_counter()))

        playing = asyncio.create_task(play())
        while not playing.done():
            try:
                answer = json.loads(await socket.receive_text(timeout=2))
            except TimeoutError:
                continue
            latencies.append(answer["latency"])
        await playing
    print(f"live: {len(latencies) / (minutes * 60):.2f} answers/s, {quantiles(latencies)}")


async def soak(client: httpx.AsyncClient, clip: bytes, minutes: float, server: psutil.Process) -> None:
    """Clips, texts, batches and 5% bad requests from four clients; memory and descriptors of every process."""
    ends = time.perf_counter() + minutes * 60
    statuses: Counter[int] = Counter()
    chance = random.Random(13)

    async def work() -> None:
        while time.perf_counter() < ends:
            kind = chance.random()
            if kind < 0.05:
                bad = mutants.mutated(clip, chance)
                answer = await client.post("/predict", files={"video": bad})
            elif kind < 0.3:
                answer = await one(client, clip)
            elif kind < 0.4:
                answer = await client.post("/predict_batch", json={"items": [{"utterance": TEXT}] * 8})
            else:
                answer = await client.post("/predict", json={"utterance": TEXT})
            statuses[answer.status_code] += 1

    working = asyncio.gather(*(work() for _ in range(4)))
    while not working.done():
        await asyncio.wait({asyncio.ensure_future(working)}, timeout=max(5.0, minutes * 6))
        print(f"{footprint(server)}; {dict(statuses)}")
    await working
    left = [path.name for path in Path(tempfile.gettempdir()).glob("emofuse-serve-*/*")]
    print(f"statuses {dict(statuses)}; files left over: {left or 'none'}")


def footprint(server: psutil.Process) -> str:
    """Memory (MiB) and open descriptors of each process of the service."""
    processes = [server, *server.children(recursive=True)]
    told = []
    for process in processes:
        try:
            told.append(f"{process.memory_full_info().uss / 2**20:.0f} MiB {process.num_fds()} fds")
        except psutil.NoSuchProcess:
            continue
    return " | ".join(told)


async def broken(client: httpx.AsyncClient, clip: bytes, count: int) -> None:
    """Mutated clips, from as many clients as there are workers."""
    chance = random.Random(13)
    waiting = iter(range(count))
    statuses: Counter[int] = Counter()
    times: list[float] = []

    async def work() -> None:
        for _ in waiting:
            began = time.perf_counter()
            answer = await client.post("/predict", files={"video": mutants.mutated(clip, chance)})
            times.append(time.perf_counter() - began)
            statuses[answer.status_code] += 1

    await asyncio.gather(*(work() for _ in range(2)))
    print(f"{count} mutated clips: {dict(statuses)}, {quantiles(times)}, longest {max(times):.1f} s")


async def killed(client: httpx.AsyncClient, clip: bytes, server: psutil.Process) -> None:
    """A worker is killed under load; all requests should be answered."""
    statuses: Counter[int] = Counter()
    ends = time.perf_counter() + 20

    async def work() -> None:
        while time.perf_counter() < ends:
            statuses[(await one(client, clip)).status_code] += 1

    working = asyncio.gather(*(work() for _ in range(4)))
    await asyncio.sleep(5)
    module = "emofuse.service.media_pool.forkserver"
    forkserver = next(p for p in server.children(recursive=True) if module in p.cmdline())
    workers = [process for process in forkserver.children() if process.status() != psutil.STATUS_ZOMBIE]
    os.kill(workers[0].pid, signal.SIGKILL)
    began = time.perf_counter()
    while len([p for p in forkserver.children() if p.status() != psutil.STATUS_ZOMBIE]) < len(workers):
        await asyncio.sleep(0.01)
    back = time.perf_counter() - began
    await working
    print(f"kill -9 of a worker: back after {back:.2f} s, statuses {dict(statuses)}")


def serving(port: int) -> psutil.Process:
    """The process that listens on the port."""
    found = [c.pid for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr.port == port]
    processes = [psutil.Process(pid) for pid in found if pid]
    return max(processes, key=lambda process: process.memory_info().rss)


async def main(asked: argparse.Namespace) -> None:
    """Run one part."""
    if asked.part == "first":
        await first(asked.clip.read_bytes(), asked.count)
        return
    address = urlsplit(asked.url)
    if address.hostname not in LOOPBACK:
        raise SystemExit(f"found {asked.url}; loads go to this machine alone")
    clip = asked.clip.read_bytes()
    async with httpx.AsyncClient(base_url=asked.url, timeout=120, limits=httpx.Limits(max_connections=32)) as client:
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "clips": lambda: clips(client, clip, asked.count),
            "texts": lambda: texts(client, asked.count),
            "timeline": lambda: timeline(client, clip, asked.minutes),
            "live": lambda: live(client, clip, asked.minutes),
            "soak": lambda: soak(client, clip, asked.minutes, serving(address.port or 80)),
            "broken": lambda: broken(client, clip, asked.count),
            "killed": lambda: killed(client, clip, serving(address.port or 80)),
        }
        await parts[asked.part]()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["first", "clips", "texts", "timeline", "live", "soak", "broken", "killed"])
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--clip", type=Path, default=Path("data/corpus/output_repeated_splits_test/dia0_utt0.mp4"))
    parser.add_argument("--count", type=int, default=100, help="requests")
    parser.add_argument("--minutes", type=float, default=1)
    asyncio.run(main(parser.parse_args()))
