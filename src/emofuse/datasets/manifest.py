"""From a layout's rows to the manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from emofuse.datasets.meld import read_meld
from emofuse.datasets.text import clean_text
from emofuse.errors import DataError
from emofuse.schema import KEY, MANIFEST, SPLITS

# The built-in corpus is written in MELD's layout, so that one loader reads both.
LAYOUTS: dict[str, Callable[[Path], pd.DataFrame]] = {"demo": read_meld, "meld": read_meld}


def build_manifest(layout: str, root: Path) -> pd.DataFrame:
    """Read the data under `root` and derive what every row of the manifest carries.

    Raises:
        DataError: the data can't be read, a key stands twice, or a split has no labelled row.
    """
    frame = LAYOUTS[layout](root)
    frame["clean_text"] = frame["text"].map(clean_text)
    frame["split"] = pd.Categorical(frame["split"], SPLITS)
    dialogue_number = pd.to_numeric(frame["dialogue"], errors="coerce")
    frame = frame.assign(number=dialogue_number).sort_values(
        ["split", "number", "dialogue", "utterance"], kind="stable"
    )
    frame["split"] = frame["split"].astype(str)
    _check(frame, root)
    groups = frame.groupby(["split", "dialogue"], sort=False)
    frame["position"] = groups.cumcount()
    frame["dialogue_length"] = groups["utterance"].transform("size")
    return frame[MANIFEST.names].reset_index(drop=True)


def _check(frame: pd.DataFrame, root: Path) -> None:
    twice = frame[frame.duplicated(KEY, keep="first")]
    if len(twice):
        first = twice.iloc[0]
        raise DataError(
            f"{root}: {len(twice)} rows repeat the key of another, first: split {first['split']}, dialogue "
            f"{first['dialogue']}, utterance {first['utterance']}; expected each once. Renumber or remove them"
        )
    for split in SPLITS:
        if not frame.loc[frame["split"] == split, "label"].notna().any():
            raise DataError(f"{root}: no labelled row in the {split} split; expected at least one")
    classes = frame.loc[frame["split"] == "train", "label"].dropna().unique()
    if len(classes) < 2:
        raise DataError(f"{root}: the train split has one class, {classes[0]!r}; expected at least two")
