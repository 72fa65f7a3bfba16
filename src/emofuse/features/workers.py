"""Extraction over worker processes, one a core."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import chain, islice

from emofuse.features.base import Extractor
from emofuse.schema import Extracted, Utterance

Item = tuple[bytes, Utterance]
Result = tuple[bytes, Extracted]
Make = Callable[[], Extractor]
CHUNK = 4  # items that a worker is sent at a time
WAITING = 3  # chunks a worker that are sent ahead
CRASHED = Extracted(None, "decoder crashed")

_extractor: Extractor | None = None  # one a worker process


def in_processes(make: Make, items: Iterator[Item], workers: int | None = None) -> Iterator[Result]:
    """Extract with worker processes; their number changes no result.

    A clip on which a worker dies is tried once more alone; where that dies too, the row says so.

    Args:
        make: makes the extractor, called once a worker.
        items: utterances under their keys, drawn as workers get free.
        workers: processes; None for the cores that this process may use.
    """
    count = workers or available_cores()
    chunks = iter(lambda: list(islice(items, CHUNK)), [])
    while True:
        lost: list[list[Item]] = []
        yield from _run(make, chunks, count, lost)
        if not lost:
            return
        for item in chain.from_iterable(lost):
            again: list[list[Item]] = []
            yield from _run(make, iter([[item]]), 1, again)
            if again:
                yield item[0], CRASHED


def available_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(make: Make, chunks: Iterator[list[Item]], workers: int, lost: list[list[Item]]) -> Iterator[Result]:
    """Run chunks until they end or a worker dies; then `lost` gets those that had no answer yet."""
    others = set(multiprocessing.active_children())
    # Decoders and OpenMP hold threads that a fork would copy locked, so workers are spawned.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start, initargs=(make,))
    sent: dict[Future[list[Result]], list[Item]] = {}
    ended = False
    try:
        while True:
            while not ended and len(sent) < workers * WAITING:
                chunk = next(chunks, None)
                if chunk is None:
                    ended = True
                else:
                    with _quiet_start():
                        sent[pool.submit(_extract_chunk, chunk)] = chunk
            if not sent:
                break
            for future in wait(sent, return_when=FIRST_COMPLETED).done:
                yield from future.result()
                del sent[future]
        pool.shutdown()
    except BrokenProcessPool:
        lost.extend(sent.values())
    finally:
        # After an interrupt or an error nobody waits for the clips at hand.
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Workers that start in this block have one OpenMP thread and leave Ctrl-C to this process."""
    threads = os.environ.get("OMP_NUM_THREADS")
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = threads
        if main:
            signal.signal(signal.SIGINT, before)


def _start(make: Make) -> None:
    global _extractor
    threading.Thread(target=_end_with_parent, daemon=True).start()
    one_thread()
    _extractor = make()


def one_thread() -> None:
    """Keep OpenCV to one thread in this process: a process a core does better than threads within one."""
    import cv2

    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _extract_chunk(chunk: list[Item]) -> list[Result]:
    assert _extractor is not None
    rows = _extractor.extract([utterance for _, utterance in chunk])
    return [(key, row) for (key, _), row in zip(chunk, rows, strict=True)]
