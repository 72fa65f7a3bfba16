"""Folds of labelled rows: what must be kept apart never stands on both sides, and labels are spread alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import DataError

FoldRows = tuple[NDArray[np.intp], NDArray[np.intp]]


def dialogue_folds(targets: NDArray[np.int64], dialogues: Sequence[str], folds: int, seed: int) -> Iterator[FoldRows]:
    """Split n rows of the training split by dialogue.

    Yields:
        Training and held-out row numbers.

    Raises:
        DataError: there are fewer dialogues, or rows of every class, than folds.
    """
    groups, largest = len(set(dialogues)), int(np.bincount(targets, minlength=1).max())
    for count, what in ((groups, "dialogues in the train split"), (largest, "training rows of the largest class")):
        if count < folds:
            raise DataError(f"found {count} {what}, expected at least train.folds = {folds}; lower train.folds")
    yield from grouped_folds(targets, dialogues, folds, seed)


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
