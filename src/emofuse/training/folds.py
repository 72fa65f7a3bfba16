"""Folds of labelled rows: what must be kept apart never stands on both sides, and labels are spread alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emofuse.core.apart import PLURALS, group_keys, group_kind
from emofuse.core.errors import DataError

FoldRows = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass(frozen=True)
class Origins:
    """Where each of n rows comes from.

    Attributes:
        dialogues: whose lines stand around it.
        groups: what keeps it apart from others, as the manifest names them; the dialogues, where nothing else is given.
        speakers: who says it; needed where one is left out at a time.
    """

    dialogues: Sequence[str]
    groups: Sequence[str] = ()
    speakers: Sequence[str] = ()

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Origins:
        """Of rows of the manifest, all of one split."""
        speakers = rows["speaker"].tolist() if "speaker" in rows else ()
        return cls(rows["dialogue"].tolist(), group_keys(rows).tolist(), speakers)

    @property
    def apart(self) -> Sequence[str]:
        """What keeps each row apart from others."""
        return self.groups or [f"dialogue {name}" for name in self.dialogues]


def member_folds(targets: NDArray[np.int64], origins: Origins, folds: int | str, seed: int) -> Iterator[FoldRows]:
    """Split n rows of the training split, a fold a member of a model.

    Args:
        targets: the class of each row.
        origins: of each row.
        folds: how many, or `speaker`: each speaker is held out once, and what is kept together with a row of theirs is
            then not trained on either.
        seed: decides the folds.

    Yields:
        Training and held-out row numbers.

    Raises:
        DataError: there are fewer groups, or rows of every class, than folds, or no two speakers.
    """
    if isinstance(folds, str):
        yield from _speaker_folds(origins)
        return
    groups, largest = len(set(origins.apart)), int(np.bincount(targets, minlength=1).max())
    what = f"{PLURALS[group_kind(origins.apart)]} in the train split"
    for count, name in ((groups, what), (largest, "training rows of the largest class")):
        if count < folds:
            raise DataError(f"found {count} {name}, expected at least train.folds = {folds}; lower train.folds")
    yield from grouped_folds(targets, origins.apart, folds, seed)


def _speaker_folds(origins: Origins) -> Iterator[FoldRows]:
    """Each speaker held out once."""
    speakers, groups = np.array(origins.speakers, dtype=object), np.array(origins.apart, dtype=object)
    for name in sorted(set(origins.speakers)):
        held_out = speakers == name
        fit = ~held_out & ~np.isin(groups, groups[held_out])
        if not fit.any():
            raise DataError(
                f"speaker {name!r} stands in a group with every other row, so that nothing is left to train on without "
                "them; set train.folds to a number, or ingest.apart to speaker"
            )
        yield np.flatnonzero(fit), np.flatnonzero(held_out)


def grouped_folds(
    targets: Sequence[str] | NDArray[np.int64], groups: Sequence[str], folds: int, seed: int
) -> Iterator[FoldRows]:
    """Split n rows by group, labels spread alike; gives the numbers of the rows to fit on and of those held out."""
    from sklearn.model_selection import StratifiedGroupKFold  # which loads for seconds, and members do without

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # The data report names the classes that are too small for every fold to hold one.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield from splitter.split(np.zeros(len(targets)), targets, list(groups))
