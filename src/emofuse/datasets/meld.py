"""MELD's layout: a CSV a split and a folder of clips a split (Poria et al., ACL 2019)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams
from emofuse.datasets.source import Source
from emofuse.datasets.tables import read_rows

SPLITS = {
    "train": ("train_sent_emo.csv", "train_splits"),
    "dev": ("dev_sent_emo.csv", "dev_splits_complete"),
    "test": ("test_sent_emo.csv", "output_repeated_splits_test"),
}
LABEL = "Emotion"
COLUMNS = ("Utterance", "Speaker", LABEL, "Dialogue_ID", "Utterance_ID", "StartTime", "EndTime")
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
        read_part(root, Part(split, path, _find(root, SPLITS[split][1]), params.id), notes)
        for split, path in tables.items()
        if path is not None
    ]
    return Source(pd.concat(frames, ignore_index=True), notes)


@dataclass(frozen=True)
class Part:
    """A CSV in MELD's columns.

    Attributes:
        split: of all its rows.
        table: the file.
        folder: where its clips are; None where there are none.
        id_column: names its rows in a submission; None for their numbers.
        labelled: whether there is a column of labels.
    """

    split: str
    table: Path
    folder: Path | None
    id_column: str | None
    labelled: bool = True


def existing(root: Path, holding: str) -> Path:
    """The data root.

    Raises:
        DataError: it is no folder.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set ingest.root to {holding}")
    return root


def read_part(root: Path, part: Part, notes: list[str]) -> pd.DataFrame:
    """Read a CSV in MELD's columns and pair its rows with the clips of its folder.

    Args:
        root: the data root.
        part: what to read.
        notes: what is odd about the table or the folder as a whole is added here.

    Raises:
        DataError: the CSV can't be read or lacks a column.
    """
    columns = [column for column in COLUMNS if part.labelled or column != LABEL]
    rows = read_rows(part.table, [*columns, *filter(None, [part.id_column])], notes)
    frame = pd.DataFrame(
        {
            "split": part.split,
            "dialogue": rows["Dialogue_ID"].str.strip(),
            "utterance": rows["Utterance_ID"],
            "clip": _clips_of(rows, root, part, notes),
            "text": rows["Utterance"],
            "speaker": rows["Speaker"].str.strip(),
            "start": rows["StartTime"],
            "end": rows["EndTime"],
            "label": rows[LABEL] if part.labelled else "",
            "source": rows["source"],
            "row": rows["row"],
            "issues": rows["issues"],
        }
    )
    return frame if part.id_column is None else frame.assign(row_id=rows[part.id_column])


def _clips_of(rows: pd.DataFrame, root: Path, part: Part, notes: list[str]) -> pd.Series:
    if part.folder is None:
        notes.append(f"{part.table.name}: found no folder of clips for it, so its rows have no video and no sound")
        return pd.Series([None] * len(rows), dtype=object)
    names = list(zip(rows["Dialogue_ID"].str.strip(), rows["Utterance_ID"].str.strip(), strict=True))
    found = _clips(part.folder)
    inside = part.folder.relative_to(root).as_posix()
    extra = sorted(found[name] for name in set(found) - set(names))
    if extra:
        shown = ", ".join(extra[:5]) + (", ..." if len(extra) > 5 else "")
        notes.append(f"{inside}: {len(extra)} clips have no row in {part.table.name}: {shown}")
    return pd.Series([f"{inside}/{found.get(name, 'dia{}_utt{}.mp4'.format(*name))}" for name in names], dtype=object)


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
