"""Extraction over worker processes, one a core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice

from emofuse.core.device import available_cores
from emofuse.core.processes import processes
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, Utterance
from emofuse.features.contract import Extractor

Item = tuple[bytes, Utterance]
Result = tuple[bytes, Extracted]
Make = Callable[[], Extractor]
CHUNK = 4  # items that a worker is sent at a time
WAITING = 3  # chunks a worker that are sent ahead
CRASHED = Extracted(None, Cause(Reason.CRASHED))

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


def _run(make: Make, chunks: Iterator[list[Item]], workers: int, lost: list[list[Item]]) -> Iterator[Result]:
    """Run chunks until they end or a worker dies; then `lost` gets those that had no answer yet."""
    sent: dict[Future[list[Result]], list[Item]] = {}
    try:
        with processes(workers, _start, make) as submit:
            while True:
                for chunk in islice(chunks, max(0, workers * WAITING - len(sent))):
                    sent[submit(_extract_chunk, chunk)] = chunk
                if not sent:
                    break
                for future in wait(sent, return_when=FIRST_COMPLETED).done:
                    yield from future.result()
                    del sent[future]
    except BrokenProcessPool:
        lost.extend(sent.values())


def _start(make: Make) -> None:
    global _extractor
    one_thread()
    _extractor = make()


def one_thread() -> None:
    """Keep OpenCV to one thread in this process: a process a core does better than threads within one."""
    import cv2

    cv2.setNumThreads(1)


def _extract_chunk(chunk: list[Item]) -> list[Result]:
    assert _extractor is not None
    rows = _extractor.extract([utterance for _, utterance in chunk])
    return [(key, row) for (key, _), row in zip(chunk, rows, strict=True)]
