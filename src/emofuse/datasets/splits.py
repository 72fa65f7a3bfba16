"""Cutting of dev and test from the training rows: by what is kept apart, stratified by label."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from emofuse.core.apart import PLURALS, group_kind
from emofuse.core.errors import DataError
from emofuse.core.params import ShareParams

BINS = 20  # shares are met to a twentieth where there are groups enough


def cut(frame: pd.DataFrame, shares: ShareParams, seed: int) -> tuple[pd.Series, list[str]]:
    """Cut the splits that are absent from the training rows.

    Args:
        frame: rows with `split`, `group` and `label`.
        shares: of the training rows, a split.
        seed: decides which groups.

    Returns:
        The split of each row, and a note a split that was cut.

    Raises:
        DataError: there are fewer groups, or fewer rows of every label, than splits.
    """
    split = frame["split"].copy()
    # A split of groups without any label would measure nothing.
    rows = frame[(split == "train") & frame["group"].isin(frame.loc[frame["label"].notna(), "group"])]
    whole = len(rows)  # what the shares are of
    made = [name for name in ("test", "dev") if not (split == name).any()]
    for left, name in zip(reversed(range(1, len(made) + 1)), made, strict=True):
        taken = _take(rows, getattr(shares, name) * whole, left, seed)
        split.loc[taken] = name
        rows = rows.drop(taken)
    notes = [
        f"no {name} split in the data: cut from the training rows by {group_kind(frame['group'])}" for name in made
    ]
    return split, notes


def _take(rows: pd.DataFrame, wanted: float, left: int, seed: int) -> pd.Index:
    """Whole groups of about `wanted` rows, their labels spread like those of all; at least `left` ones stay."""
    from sklearn.model_selection import StratifiedGroupKFold  # seconds to load, and most data comes with its splits

    targets = rows["label"].fillna("").to_numpy(dtype=str)
    groups, what = rows["group"].nunique(), PLURALS[group_kind(rows["group"])]
    largest = int(np.unique(targets, return_counts=True)[1].max(initial=0))
    bins = min(BINS, groups, largest)
    if bins <= left:
        less = "" if what == "rows" else f", or set ingest.apart to row: the same {what} are on all sides then"
        raise DataError(
            f"found {len(rows)} training rows in {groups} {what}, at most {largest} of a label, to cut dev and "
            f"test from; expected more than {left} {what} and {left} rows of a label: add some, or say in the data "
            f"which rows are dev and test{less}"
        )
    with warnings.catch_warnings():
        # Rare classes can't be in every bin; the data report names them.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        splitter = StratifiedGroupKFold(bins, shuffle=True, random_state=seed)
        parts = sorted((part for _, part in splitter.split(targets, targets, rows["group"])), key=len)
    taken = [parts[0]]
    for part in parts[1:-left]:
        if sum(map(len, taken)) + len(part) / 2 <= wanted:
            taken.append(part)
    return rows.index[np.sort(np.concatenate(taken))]
