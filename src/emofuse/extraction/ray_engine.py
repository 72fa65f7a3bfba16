"""Extraction over Ray's workers, on this machine or a cluster.

Ray's own retries redo the clips of a worker or machine that dies. Tasks are sent as workers get free, as worker
processes get theirs: so hashing, extraction and keeping overlap, and the driver holds no more than is under way.

Ray Data isn't used: it is as fast here, but it tries a clip that kills its worker again without end (the arguments that
bound it leave Ray with 2.64), and its actors wait for a dead machine to come back.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any
from uuid import uuid4

from emofuse.core.errors import EmofuseError, RayError
from emofuse.core.numerics import current, variables
from emofuse.core.params import ExtractParams
from emofuse.core.records import Extracted, Utterance
from emofuse.extraction.processes import CRASHED, WAITING, Item, Result
from emofuse.extraction.start import died, extracted, started, too_slow
from emofuse.features.contract import Extractor

CHUNK = 4  # items that a worker is sent at a time
LARGE_CHUNK = 512  # items that an encoder is sent at a time, so that its batches are full
PATIENCE = 10.0  # seconds for an answer from the address
SLOW = "a clip that took too long"  # names the thread that works on it
TRIES = 3  # of a task whose worker or machine dies

_extractors: dict[str, Extractor] = {}  # by run; one a worker process


def in_ray(
    make: Callable[[], Extractor], items: Iterator[Item], run: ExtractParams, batches: bool, gpu: bool
) -> Iterator[Result]:
    """Extract on Ray's workers: one processor each; for an encoder, where the cluster has GPUs, one or a share of one.

    An encoder of words keeps a GPU busy alone. One that looks at clips waits for decoding, so that a worker a
    processor shares the GPUs.

    Args:
        make: makes the extractor, called once a worker process.
        items: utterances under their keys, drawn as workers get free.
        run: the address of Ray, and the number of workers (None: as many as fit).
        batches: whether the extractor works on many items together, without a time limit for each.
        gpu: whether it can use a GPU.

    Raises:
        RayError: Ray is not installed, or can't be reached.
        ExtractorError: the extractor can't start.
    """
    seconds = None if batches else run.seconds
    with _connected(run) as ray:
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0)) if gpu else 0
        workers = run.workers or (gpus if batches else 0) or max(1, int(resources.get("CPU", 1)))
        # max_calls: Ray would end a process after each task that had a GPU, and load the model anew.
        environment = {"env_vars": variables(current())}  # Ray's processes load numpy before they see a task
        task = ray.remote(
            num_cpus=1, num_gpus=min(1, gpus / workers), max_retries=TRIES, max_calls=0, runtime_env=environment
        )(_extract)
        made, name = ray.put(make), uuid4().hex
        crash = ray.exceptions.WorkerCrashedError
        chunks = iter(lambda: list(islice(items, LARGE_CHUNK if batches else CHUNK)), [])
        sent: dict[Any, list[Item]] = {}
        try:
            while True:
                for chunk in islice(chunks, max(0, workers * WAITING - len(sent))):
                    sent[task.remote(name, made, chunk, seconds)] = chunk
                if not sent:
                    return
                [done], _ = ray.wait(list(sent), num_returns=1)
                chunk = sent.pop(done)
                try:
                    yield from ray.get(done)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause if isinstance(error.cause, EmofuseError) else error from None
                except crash:
                    if len(chunk) == 1:
                        _prove(ray, task, name, made, crash)
                        yield chunk[0][0], CRASHED
                    else:  # one of them is deadly; alone it shows which
                        sent |= {task.remote(name, made, [item], seconds): [item] for item in chunk}
        finally:
            for reference in sent:
                ray.cancel(reference, force=True)


@contextmanager
def _connected(run: ExtractParams) -> Iterator[Any]:
    try:
        import ray
    except ImportError:
        raise RayError(
            "extract.engine is 'ray', but Ray is not installed; install the extra: pip install '.[ray]' in a "
            "clone of emofuse, or set extract.engine to processes"
        ) from None
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if run.ray_address is None:
        options |= {"include_dashboard": False, "num_cpus": run.workers}
    try:
        _knock(run.ray_address)
        ray.init(address=run.ray_address or "local", **options)
    except (OSError, RuntimeError, ValueError) as error:
        raise RayError(
            f"extract.ray_address: Ray can't be reached at {run.ray_address!r}: {str(error).splitlines()[0]}; "
            "start it with `ray start --head`, give its address, or null to start Ray in this process"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Fail at once where nobody listens; Ray itself tries for minutes."""
    if address and ":" in address:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


def _prove(ray: Any, task: Any, name: str, made: Any, crash: type[Exception]) -> None:
    """See to it that the extractor starts, before a clip is blamed."""
    try:
        ray.get(task.remote(name, made, [], None))
    except crash:
        raise died() from None


def _extract(name: str, make: Callable[[], Extractor], chunk: list[Item], seconds: float | None) -> list[Result]:
    if any(thread.name == SLOW for thread in threading.enumerate()):
        os._exit(1)  # Ray sends the task to a fresh process; this one still works on a clip that took too long
    if name not in _extractors:
        _extractors.clear()
        _extractors[name] = started(make)
    extractor = _extractors[name]
    if seconds is not None:
        return [(key, _within(extractor, utterance, seconds)) for key, utterance in chunk]
    rows = extractor.stream([utterance for _, utterance in chunk])
    return [(chunk[number][0], row) for number, row in rows]


def _within(extractor: Extractor, utterance: Utterance, seconds: float) -> Extracted:
    """The row of an utterance; a decoder can't be stopped, so that one that takes too long is left behind."""
    rows: list[Extracted] = []
    thread = threading.Thread(target=lambda: rows.append(extracted(extractor, utterance)), daemon=True)
    thread.start()
    thread.join(seconds)
    if not rows and thread.is_alive():
        thread.name = SLOW
        return too_slow(seconds)
    return rows[0]
