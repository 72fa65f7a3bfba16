"""What must not stand on both sides of a split or a fold: each row's group, and what to call it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# The kind that begins a group's name, and what several such groups are called.
PLURALS = {"dialogue": "dialogues", "speaker": "speakers", "both": "sets of dialogues and speakers", "row": "rows"}


def dialogue_keys(rows: pd.DataFrame) -> NDArray[np.object_]:
    """The dialogue of each row, whose name is only good within its split.

    Rows that stand alone have a dialogue of their own in the manifest.
    """
    keys: NDArray[np.object_] = (rows["split"] + "/" + rows["dialogue"].astype(str)).to_numpy(dtype=object)
    return keys


def group_keys(rows: pd.DataFrame) -> NDArray[np.object_]:
    """What each row is kept apart by: its group in the manifest, or, in tables that hold none, its dialogue."""
    dialogues = pd.Series("dialogue " + dialogue_keys(rows), index=rows.index, dtype=object)
    keys: NDArray[np.object_] = (rows["group"].fillna(dialogues) if "group" in rows else dialogues).to_numpy(object)
    return keys


def group_kind(keys: Iterable[str]) -> str:
    """What rows are kept apart by, of `PLURALS`; single rows beside others are those that lack it."""
    kinds = {key.split(" ", 1)[0] for key in keys}
    return next((kind for kind in PLURALS if kind in kinds), "row")
