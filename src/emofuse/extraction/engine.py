"""Runs an extractor over a stream of utterances: in this process, over worker processes, or over Ray's workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from emofuse.core.device import use_all_cores
from emofuse.core.params import ExtractParams
from emofuse.extraction.processes import Item, Result, in_processes
from emofuse.features.contract import Extractor

WINDOW = 8192  # utterances that are sorted by length at a time where one process extracts


class Engine:
    """How extraction is run.

    Args:
        run: engine and workers.
        own_process: whether the extractor uses all cores by itself, so that processes of one core each don't suit it.
        gpu: whether it can use a GPU, of which Ray has to know.
    """

    def __init__(self, run: ExtractParams, own_process: bool, gpu: bool = False) -> None:
        self._params = run
        self._own_process = own_process
        self._gpu = gpu

    def run(self, make: Callable[[], Extractor], items: Iterator[Item]) -> Iterator[Result]:
        """Extract each item and give its key and row as soon as it is done, in any order.

        Nothing is started and no extractor is made before the first item; items are drawn as they are needed.
        """
        first = next(items, None)
        if first is None:
            return
        rest = _chained(first, items)
        if self._params.engine == "ray":
            from emofuse.extraction.ray_engine import in_ray

            yield from in_ray(make, rest, self._params, self._own_process, self._gpu)
        elif self._own_process:
            yield from in_this_process(make, rest)
        else:
            yield from in_processes(make, rest, self._params.seconds, self._params.workers)


def _chained(first: Item, rest: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield from rest


def in_this_process(make: Callable[[], Extractor], items: Iterator[Item]) -> Iterator[Result]:
    """Extract here, which suits an encoder that uses all cores itself."""
    extractor = make()
    use_all_cores()
    while window := list(islice(items, WINDOW)):
        for number, row in extractor.stream([utterance for _, utterance in window]):
            yield window[number][0], row
