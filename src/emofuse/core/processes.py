"""Processes that compute beside this one, on a core each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

Submit = Callable[..., Future[Any]]


@contextmanager
def processes(count: int, start: Callable[..., None] | None = None, *arguments: Any) -> Iterator[Submit]:
    """Start processes as they are needed; gives what sends a function and its arguments to one of them.

    They are spawned, since a fork would copy the locks that decoders and OpenMP hold; they leave Ctrl-C to this process
    and end with it. Whatever stops the block ends them at once: nobody waits for what is at hand.

    Args:
        count: at most so many.
        start: called once in each, with the arguments.
    """
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, spawn, initializer=_begin, initargs=(start, *arguments))

    def submit(function: Callable[..., Any], *given: Any) -> Future[Any]:
        with _deaf_to_interrupts():
            return pool.submit(function, *given)

    try:
        yield submit
        pool.shutdown()
    finally:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        pool.shutdown(wait=False, cancel_futures=True)


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
