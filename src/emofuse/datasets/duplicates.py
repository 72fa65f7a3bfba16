"""Rows that are the same as another: by words and speaker, by the clip's content, by the span of time, by ear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from emofuse.core.params import Leak
from emofuse.core.records import FeatureTable
from emofuse.datasets.near_sounds import near_sounds

# What is compared, and which of it must be known: without speakers, the words alone tell; times alone don't, nor do
# those of two clocks.
KINDS = {
    "same text and speaker": (["clean_text", "speaker"], ["clean_text"]),
    "same clip": (["clip_sha256"], ["clip_sha256"]),
    "same time span and speaker": (["clock", "start", "end", "speaker"], ["start", "end", "speaker"]),
}
NEAR_SOUND = "nearly the same sound"  # which features of the sounds tell
# By what `ingest.drop_leaks` calls them.
LEAKS: dict[Leak, str] = dict(zip(("text", "clip", "time", "sound"), (*KINDS, NEAR_SOUND), strict=True))


@dataclass(frozen=True)
class Duplicates:
    """Rows that are the same in one way.

    Attributes:
        kind: one of `KINDS`, or `NEAR_SOUND`.
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
            yield _of(kind, rows)


def find_near_sounds(manifest: pd.DataFrame, table: FeatureTable) -> Iterator[Duplicates]:
    """Groups of rows whose clips are other files and sound the same.

    Args:
        manifest: numbered from 0.
        table: features of the sound of these rows.
    """
    for rows in near_sounds(table):
        part = manifest.loc[list(rows)]
        if part["clip_sha256"].nunique(dropna=False) > 1:
            yield _of(NEAR_SOUND, part)


def _of(kind: str, rows: pd.DataFrame) -> Duplicates:
    return Duplicates(
        kind,
        tuple(int(index) for index in rows.index),
        frozenset(rows["split"]),
        tuple(sorted(rows["label"].dropna().unique())),
    )
