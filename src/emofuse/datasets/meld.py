"""MELD's layout: a CSV a split and a folder of clips a split (Poria et al., ACL 2019)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emofuse.datasets.tables import read_csv, seconds
from emofuse.errors import DataError

SPLITS = {
    "train": ("train_sent_emo.csv", "train_splits"),
    "dev": ("dev_sent_emo.csv", "dev_splits_complete"),
    "test": ("test_sent_emo.csv", "output_repeated_splits_test"),
}
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime")


def read_meld(root: Path) -> pd.DataFrame:
    """Read the rows of a MELD folder.

    Args:
        root: the folder that holds `train_sent_emo.csv`, `dev_sent_emo.csv`, `test_sent_emo.csv` and the clip folders.

    Returns:
        One row an utterance: the manifest's columns less those that `build_manifest` derives.

    Raises:
        DataError: the folder, a CSV or a column is missing, or a CSV can't be read.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set ingest.root to the folder that holds {SPLITS['train'][0]}")
    absent = [name for name, _ in SPLITS.values() if not (root / name).is_file()]
    if absent:
        raise DataError(
            f"{root}: found no {', no '.join(absent)}; expected a CSV for each split in MELD's layout "
            "(see ingest.layout and ingest.root in params.yaml)"
        )
    return pd.concat([_read_split(root, split) for split in SPLITS], ignore_index=True)


def _read_split(root: Path, split: str) -> pd.DataFrame:
    name, folder = SPLITS[split]
    table = read_csv(root / name, COLUMNS)
    clips = [
        f"{folder}/dia{dialogue}_utt{utterance}.mp4"
        for dialogue, utterance in zip(table["Dialogue_ID"], table["Utterance_ID"], strict=True)
    ]
    found = [(root / clip).is_file() for clip in clips]
    return pd.DataFrame(
        {
            "split": split,
            "dialogue": table["Dialogue_ID"],
            "utterance": table["Utterance_ID"].astype("int64"),
            "clip": [clip if there else None for clip, there in zip(clips, found, strict=True)],
            "text": table["Utterance"],
            "speaker": table["Speaker"],
            "start": table["StartTime"].map(seconds),
            "end": table["EndTime"].map(seconds),
            "label": table["Emotion"].str.strip().str.lower().replace("", None),
            "issues": [[] if there else [f"clip not found: {clip}"] for clip, there in zip(clips, found, strict=True)],
        }
    )
