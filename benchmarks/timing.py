"""What the benchmarks share."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One row of the table: what was compared, the ratio, what is wanted, and what the ratio is made of."""

    name: str
    value: float
    wanted: str
    detail: str


def seconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def spent(work: Iterable[object]) -> float:
    """How long it takes to go through an iterable."""
    return seconds(lambda: [None for _ in work])


def rate(results: Iterator[object], total: int, warm: int) -> float:
    """Results a second, once `warm` of `total` are there: what starts and compiles once is left out."""
    for _ in range(warm):
        next(results)
    return (total - warm) / spent(results)


def copies(clips: list[Path], count: int, folder: Path) -> list[Path]:
    """So many clips of different content: bytes after the end of a clip change its hash, not what is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(count):
        source = clips[number % len(clips)]
        made.append(Path(shutil.copy(source, folder / f"{number:05d}{source.suffix}")))
        with made[-1].open("ab") as file:  # an empty box of the mp4 format
            file.write((16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big"))
    return made
