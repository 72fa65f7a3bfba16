"""MELD's layout: a CSV a split and a folder of clips a split (Poria et al., ACL 2019)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from emofuse.datasets.source import Source
from emofuse.datasets.tables import read_rows
from emofuse.errors import DataError
from emofuse.params import IngestParams

SPLITS = {
    "train": ("train_sent_emo.csv", "train_splits"),
    "dev": ("dev_sent_emo.csv", "dev_splits_complete"),
    "test": ("test_sent_emo.csv", "output_repeated_splits_test"),
}
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime")
# Some of the published test clips carry a prefix.
CLIP_NAME = re.compile(r"(final_videos_test)?dia(\d+)_utt(\d+)\.mp4")


def read_meld(params: IngestParams) -> Source:
    """Read MELD.Raw as published, or its CSV files alone.

    The CSV files and the clip folders may stand in `ingest.root` or up to two folders below it, as the archives unpack.

    Raises:
        DataError: the root or a CSV is missing, or a CSV can't be read or lacks a column.
    """
    root = existing(params.root, f"the folder that holds {SPLITS['train'][0]}")
    tables = {split: _find(root, name) for split, (name, _) in SPLITS.items()}
    absent = [SPLITS[split][0] for split, path in tables.items() if path is None]
    if absent:
        raise DataError(
            f"{root}: found no {', no '.join(absent)}; expected a CSV for each split in MELD's layout "
            "(see ingest.layout and ingest.root in params.yaml)"
        )
    notes: list[str] = []
    frames = [
        read_split(root, path, _find(root, SPLITS[split][1]), split, COLUMNS, notes)
        for split, path in tables.items()
        if path is not None
    ]
    return Source(pd.concat(frames, ignore_index=True), notes)


def existing(root: Path, holding: str) -> Path:
    """The data root.

    Raises:
        DataError: it is no folder.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set ingest.root to {holding}")
    return root


def read_split(
    root: Path, table: Path, folder: Path | None, split: str, columns: tuple[str, ...], notes: list[str]
) -> pd.DataFrame:
    """Read a CSV in MELD's columns and pair its rows with the clips of a folder.

    Args:
        root: the data root.
        table: the CSV.
        folder: where its clips are; None where there are none.
        split: the split of all its rows.
        columns: those that must be there.
        notes: what is odd about the table or the folder as a whole is added here.

    Raises:
        DataError: the CSV can't be read or lacks a column.
    """
    rows = read_rows(table, columns, notes)
    if folder is None:
        notes.append(f"{table.name}: found no folder of clips for it, so its rows have no video and no sound")
        clips: list[str | None] = [None] * len(rows)
    else:
        names = list(zip(rows["Dialogue_ID"].str.strip(), rows["Utterance_ID"].str.strip(), strict=True))
        found = _clips(folder)
        inside = folder.relative_to(root).as_posix()
        clips = [f"{inside}/{found.get(name, 'dia{}_utt{}.mp4'.format(*name))}" for name in names]
        extra = sorted(found[name] for name in set(found) - set(names))
        if extra:
            shown = ", ".join(extra[:5]) + (", ..." if len(extra) > 5 else "")
            notes.append(f"{inside}: {len(extra)} clips have no row in {table.name}: {shown}")
    return pd.DataFrame(
        {
            "split": split,
            "dialogue": rows["Dialogue_ID"].str.strip(),
            "utterance": rows["Utterance_ID"],
            "clip": pd.Series(clips, dtype=object),
            "text": rows["Utterance"],
            "speaker": rows["Speaker"].str.strip(),
            "start": rows["StartTime"],
            "end": rows["EndTime"],
            "label": rows.get("Emotion", ""),
            "source": rows["source"],
            "row": rows["row"],
            "issues": rows["issues"],
        }
    )


def _find(root: Path, name: str) -> Path | None:
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        found = sorted(root.glob(pattern))
        if found:
            return found[0]
    return None


def _clips(folder: Path) -> dict[tuple[str, str], str]:
    """File names by dialogue and utterance; a name without prefix goes before one with."""
    matches = [match for path in sorted(folder.iterdir()) if (match := CLIP_NAME.fullmatch(path.name))]
    return {(match[2], match[3]): match[0] for match in sorted(matches, key=lambda match: match[1] is None)}
