"""Processes that compute beside this one, on a core each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

Submit = Callable[..., Future[Any]]


@contextmanager
def processes(count: int, start: Callable[..., None] | None = None, *arguments: Any) -> Iterator[Submit]:
    """Start processes; gives `submit(function, *arguments, seconds=None)`, which sends a call to one of them.

    What `submit` gives is a future. It raises TimeoutError where the call takes longer than `seconds`,
    `pebble.ProcessExpired` where its process dies, and both cost that call alone: another process takes the place. It
    raises `BrokenProcessPool` where a process ends in `start`.

    Processes are spawned, since a fork would copy the locks that decoders and OpenMP hold; they leave Ctrl-C to this
    process and end with it. Whatever stops the block ends them at once: nobody waits for what is at hand.

    Args:
        count: of processes.
        start: called once in each, with the arguments.
    """
    from pebble import ProcessPool  # what is served has no need of it

    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPool(count, initializer=_begin, initargs=(start, *arguments), context=spawn)

    def submit(function: Callable[..., Any], *values: Any, seconds: float | None = None) -> Future[Any]:
        """Have a process call the function; a call that takes longer than `seconds` ends with its process."""
        with _deaf_to_interrupts():
            future: Future[Any] = pool.schedule(function, args=values, timeout=seconds)
            return future

    try:
        yield submit
        pool.close()  # type: ignore[no-untyped-call]
        pool.join()
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that start in this block inherit that SIGINT is ignored."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    try:
        yield
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


def _begin(start: Callable[..., None] | None, *arguments: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start(*arguments)


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
