"""Runs an extractor over a manifest, in this process or spread over worker processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from emofuse.features.base import Extractor
from emofuse.progress import progress
from emofuse.schema import Extracted, FeatureTable, Utterance

_extractor: Extractor | None = None  # one a worker process


def extract_here(make: Callable[[], Extractor], utterances: Sequence[Utterance], label: str) -> FeatureTable:
    """Extract in this process, which suits an encoder that uses all cores itself."""
    extractor = make()
    rows = list(progress(extractor.extract(utterances), label, len(utterances), "utterance"))
    return FeatureTable.stack(extractor.names, rows)


def extract_in_processes(
    make: Callable[[], Extractor], utterances: Sequence[Utterance], label: str, workers: int | None = None
) -> FeatureTable:
    """Extract with one process a core; the result does not depend on their number.

    Args:
        make: a picklable function that makes the extractor, called once a worker.
        utterances: n utterances.
        label: name shown at the progress bar.
        workers: processes; None for the cores that this process may use.

    Returns:
        n rows, in the order of `utterances`.
    """
    workers = workers or available_cores()
    os.environ["OMP_NUM_THREADS"] = "1"  # read by what the workers load; threads within a process a core only compete
    # Decoders and OpenMP hold threads that a fork would copy locked, so workers are spawned.
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(make,)) as pool:
        rows = pool.map(_extract_one, utterances, chunksize=4)
        done = list(progress(rows, label, len(utterances), "clip"))
    return FeatureTable.stack(make().names, done)


def available_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(make: Callable[[], Extractor]) -> None:
    global _extractor
    import cv2

    cv2.setNumThreads(1)
    _extractor = make()


def _extract_one(utterance: Utterance) -> Extracted:
    assert _extractor is not None
    return next(iter(_extractor.extract([utterance])))
