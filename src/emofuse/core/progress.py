"""Progress of anything that takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Never, TypeVar

from tqdm import tqdm

from emofuse.core.records import Extracted

T = TypeVar("T")
SHOWN = 3  # reasons in the line at the end


def progress(items: Iterable[T], label: str, total: int | None, unit: str) -> Iterable[T]:
    """Show a bar with speed and, where the total is given, time left; in a log, a line every ten seconds."""
    return tqdm(items, desc=label, total=total, unit=unit, mininterval=_interval())


class Tally:
    """Counts of an extraction, behind a bar with speed and time left; in a log, a line every ten seconds."""

    def __init__(self, bar: tqdm[Never], label: str) -> None:
        self._bar = bar
        self._label = label
        self._began = time.monotonic()
        self.cached = self.extracted = 0
        self.reasons: Counter[str] = Counter()

    def add(self, row: Extracted, cached: bool = False) -> None:
        """Count an utterance."""
        self.cached += cached
        self.extracted += not cached
        if row.values is None and row.cause is not None:
            self.reasons[row.cause.kind] += 1
        self._bar.set_postfix(cached=self.cached, absent=self.reasons.total(), refresh=False)
        self._bar.update()

    def summary(self) -> str:
        """One line on all that was counted."""
        seconds = time.monotonic() - self._began
        total = self.cached + self.extracted
        line = f"{self._label}: {total} utterances in {seconds:.1f} s ({total / max(seconds, 1e-3):.0f}/s), "
        line += f"{self.cached} from the cache, {self.reasons.total()} absent"
        if self.reasons:
            commonest = [f"{count} {reason}" for reason, count in self.reasons.most_common(SHOWN)]
            line += f" ({', '.join(commonest)}{', ...' if len(self.reasons) > SHOWN else ''})"
        return line


@contextmanager
def tallied(label: str, total: int, unit: str) -> Iterator[Tally]:
    """Show a bar while the block runs and, where it succeeds, one line at its end."""
    bar: tqdm[Never]
    with tqdm(total=total, desc=label, unit=unit, mininterval=_interval(), leave=False) as bar:
        tally = Tally(bar, label)
        yield tally
    print(tally.summary(), file=sys.stderr)


def _interval() -> float:
    return 0.2 if sys.stderr.isatty() else 10
