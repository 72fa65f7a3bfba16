"""Rows that say the same as another: by words and speaker, by the clip's content, by the span of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

# What is compared, and which of it must be known: without speakers, the words alone tell; times alone don't, nor do
# those of two clocks.
KINDS = {
    "same text and speaker": (["clean_text", "speaker"], ["clean_text"]),
    "same clip": (["clip_sha256"], ["clip_sha256"]),
    "same time span and speaker": (["clock", "start", "end", "speaker"], ["start", "end", "speaker"]),
}


@dataclass(frozen=True)
class Duplicates:
    """Rows that are the same in one way.

    Attributes:
        kind: one of `KINDS`.
        rows: their numbers in the manifest, in its order.
        splits: the splits that they stand in.
        labels: the labels that they carry, in alphabetical order.
    """

    kind: str
    rows: tuple[int, ...]
    splits: frozenset[str]
    labels: tuple[str, ...]

    @property
    def leaks(self) -> bool:
        """Whether a training row and a row that is measured on are the same."""
        return "train" in self.splits and bool(self.splits & {"dev", "test"})

    @property
    def conflicts(self) -> bool:
        """Whether the same is labelled in more than one way."""
        return len(self.labels) > 1


def find_duplicates(manifest: pd.DataFrame) -> Iterator[Duplicates]:
    """Groups of rows that are the same, kind by kind, in the order of their first rows.

    Args:
        manifest: numbered from 0. Rows without a value that a kind compares are no duplicates of that kind.
    """
    for kind, (columns, needed) in KINDS.items():
        some = manifest[manifest[needed].notna().all(axis=1) & (manifest[needed] != "").all(axis=1)]
        some = some[some.duplicated(columns, keep=False)]
        for _, rows in some.groupby(columns, sort=False):
            yield Duplicates(
                kind,
                tuple(int(index) for index in rows.index),
                frozenset(rows["split"]),
                tuple(sorted(rows["label"].dropna().unique())),
            )
