"""Progress of anything that takes longer than two seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], label: str, total: int, unit: str) -> Iterable[T]:
    """Show a bar with speed and time left; in a log file, a line every ten seconds instead of ten a second."""
    return tqdm(items, desc=label, total=total, unit=unit, mininterval=0.2 if sys.stderr.isatty() else 10)
