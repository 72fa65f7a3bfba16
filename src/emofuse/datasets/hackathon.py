"""The hackathon's layout: a labelled and an unlabelled CSV in MELD's columns, and a folder of clips for each."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams
from emofuse.datasets.meld import CLIP_NAME, Part, existing, read_meld_table
from emofuse.datasets.raw_rows import RawRows

TRAIN = "train_emotion.csv"


def read_hackathon(params: IngestParams) -> RawRows:
    """Read `train_emotion.csv` and `test*.csv`; dev and test are cut from the labelled rows afterwards.

    Clips named `dia<D>_utt<U>.mp4` are looked for in the folders under the root whose path has "train" or "test" in it.

    Raises:
        DataError: the root or the labelled CSV is missing, more than one CSV begins with "test", or one can't be read.
    """
    root = existing(params.root, f"the folder that holds {TRAIN}")
    tests = sorted(path for path in root.glob("test*.csv"))
    if len(tests) > 1:
        raise DataError(
            f"{root}: found {', '.join(path.name for path in tests)}, expected one test*.csv; move the others away"
        )
    notes: list[str] = []
    frames = [read_meld_table(root, Part("train", root / TRAIN, _folder(root, "train", notes), None), notes)]
    if tests:
        part = Part("predict", tests[0], _folder(root, "test", notes), params.id, labelled=False)
        frames.append(read_meld_table(root, part, notes))
    else:
        notes.append(f"{root.name}: found no test*.csv, so there is nothing to predict")
    return RawRows(pd.concat(frames, ignore_index=True), notes)


def _folder(root: Path, word: str, notes: list[str]) -> Path | None:
    """The folder of clips that has a word in its path."""
    folders = {path.parent for path in root.rglob("*.mp4") if CLIP_NAME.fullmatch(path.name)}
    named = sorted(folder for folder in folders if word in folder.relative_to(root).as_posix().lower())
    if len(named) > 1:
        notes.append(f"found {len(named)} folders of {word} clips, took {named[0].relative_to(root).as_posix()}")
    return named[0] if named else None
