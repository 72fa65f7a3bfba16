"""Cutting of dev and test from the training rows: by dialogue, stratified by label."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from emofuse.errors import DataError
from emofuse.params import ShareParams

BINS = 20  # shares are met to a twentieth where there are dialogues enough


def cut(frame: pd.DataFrame, shares: ShareParams, seed: int) -> tuple[pd.Series, list[str]]:
    """Cut the splits that are absent from the training rows.

    Args:
        frame: rows with `split`, `dialogue` and `label`.
        shares: of the training rows, a split.
        seed: decides which dialogues.

    Returns:
        The split of each row, and a note a split that was cut.

    Raises:
        DataError: there are fewer dialogues than splits.
    """
    split = frame["split"].copy()
    for name, share in (("test", shares.test), ("dev", shares.dev)):
        if (frame["split"] == name).any():
            continue
        rows = frame[split == "train"]
        # What is left is smaller than what the shares are of.
        taken = _take(rows, share * (frame["split"] == "train").sum(), name, seed)
        split.loc[taken] = name
    made = [name for name in ("dev", "test") if not (frame["split"] == name).any()]
    notes = [f"no {name} split in the data: cut from the training rows by dialogue" for name in made]
    return split, notes


def _take(rows: pd.DataFrame, wanted: float, name: str, seed: int) -> pd.Index:
    """Whole dialogues of about `wanted` rows, their labels spread like those of all rows."""
    targets = rows["label"].fillna("").to_numpy(dtype=str)
    largest = int(np.unique(targets, return_counts=True)[1].max(initial=0))
    bins = min(BINS, rows["dialogue"].nunique(), largest)
    if bins < 2:
        raise DataError(
            f"found {rows['dialogue'].nunique()} dialogues to cut a {name} split from, expected at least 2; "
            "add dialogues, or name a split column"
        )
    with warnings.catch_warnings():
        # Rare classes can't be in every bin; the data report names them.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splitter = StratifiedGroupKFold(bins, shuffle=True, random_state=seed)
        parts = [part for _, part in splitter.split(targets, targets, rows["dialogue"])]
    taken = [parts[0]]
    for part in parts[1:-1]:
        have = sum(map(len, taken))
        if have + len(part) / 2 <= wanted:
            taken.append(part)
    return rows.index[np.sort(np.concatenate(taken))]
