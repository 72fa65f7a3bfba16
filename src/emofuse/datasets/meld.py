"""MELD's layout: a CSV a split and a folder of clips a split (Poria et al., ACL 2019)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams
from emofuse.core.text import normal_form
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.user_tables import read_user_table

SPLITS = {
    "train": ("train_sent_emo.csv", "train_splits"),
    "dev": ("dev_sent_emo.csv", "dev_splits_complete"),
    "test": ("test_sent_emo.csv", "output_repeated_splits_test"),
}
LABEL = "Emotion"
COLUMNS = {
    "text": "Utterance",
    "speaker": "Speaker",
    "dialogue": "Dialogue_ID",
    "utterance": "Utterance_ID",
    "start": "StartTime",
    "end": "EndTime",
}
EPISODE = ("Season", "Episode")  # the times of one are counted on one clock
# Some of the published test clips carry a prefix.
CLIP_NAME = re.compile(r"(final_videos_test)?dia(\d+)_utt(\d+)\.mp4")


def read_meld(params: IngestParams) -> RawRows:
    """Read MELD.Raw as published, or its CSV files alone.

    The CSV files and the clip folders may stand in `ingest.root` or up to two folders below it, as the archives unpack.
    A split without a CSV is a note, and is cut from train where there is one.

    Raises:
        DataError: the root or every CSV is missing, or a CSV can't be read or lacks a column.
    """
    root = existing(params.root, f"the folder that holds {SPLITS['train'][0]}")
    tables = {split: find_below(root, name) for split, (name, _) in SPLITS.items()}
    absent = [SPLITS[split][0] for split, path in tables.items() if path is None]
    if len(absent) == len(SPLITS):
        raise DataError(
            f"{root}: found no {', no '.join(absent)}; expected a CSV for each split in MELD's layout "
            "(see ingest.layout and ingest.root in params.yaml)"
        )
    notes = [f"{root.name}: found no {name}, so that these are not MELD's own three splits" for name in absent]
    frames = [
        read_meld_table(root, Part(split, path, find_below(root, SPLITS[split][1]), params.id), notes)
        for split, path in tables.items()
        if path is not None
    ]
    return RawRows(pd.concat(frames, ignore_index=True), notes)


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


def read_meld_table(root: Path, part: Part, notes: list[str]) -> pd.DataFrame:
    """Read a CSV in MELD's columns and pair its rows with the clips of its folder.

    Args:
        root: the data root.
        part: what to read.
        notes: what is odd about the table or the folder as a whole is added here.

    Raises:
        DataError: the CSV can't be read or lacks a column.
    """
    named = {**COLUMNS, "label": LABEL if part.labelled else None, "row_id": part.id_column}
    columns = {column: heading for column, heading in named.items() if heading is not None}
    table = read_user_table(part.table, list(columns.values()), EPISODE)
    notes.extend(table.notes)
    frame = table.as_rows(columns)
    if table.has(*EPISODE):
        episodes = zip(*(map(normal_form, table.column(name)) for name in EPISODE), strict=True)
        clocks = [f"season {season} episode {episode}" if season and episode else None for season, episode in episodes]
        frame["clock"] = pd.Series(clocks, dtype=object).mask(table.torn, None)
    return frame.assign(split=part.split, clip=_clips_of(frame, root, part, notes))


def _clips_of(frame: pd.DataFrame, root: Path, part: Part, notes: list[str]) -> pd.Series:
    """The clip of each row; None for all without a folder, and for a torn row, whose numbers are not known."""
    if part.folder is None:
        notes.append(f"{part.table.name}: found no folder of clips for it, so its rows have no video and no sound")
        return pd.Series([None] * len(frame), dtype=object)
    names = [
        (normal_form(dialogue), normal_form(utterance)) if isinstance(dialogue, str) else None
        for dialogue, utterance in zip(frame["dialogue"], frame["utterance"], strict=True)
    ]
    clips = _clips(part.folder)
    inside = part.folder.relative_to(root).as_posix()
    extra = sorted(clips[name] for name in set(clips) - set(names))
    if extra:
        shown = ", ".join(extra[:5]) + (", ..." if len(extra) > 5 else "")
        notes.append(f"{inside}: {len(extra)} clips have no row in {part.table.name}: {shown}")
    paths = [name and f"{inside}/{clips.get(name, 'dia{}_utt{}.mp4'.format(*name))}" for name in names]
    return pd.Series(paths, dtype=object)


def find_below(root: Path, name: str) -> Path | None:
    """A file or folder of this name in a folder or up to two below it; None where there is none."""
    paths = (path for pattern in (name, f"*/{name}", f"*/*/{name}") for path in sorted(root.glob(pattern)))
    return next(paths, None)


def _clips(folder: Path) -> dict[tuple[str, str], str]:
    """File names by dialogue and utterance; a name without prefix goes before one with."""
    matches = [match for path in sorted(folder.iterdir()) if (match := CLIP_NAME.fullmatch(path.name))]
    return {(match[2], match[3]): match[0] for match in sorted(matches, key=lambda match: match[1] is None)}
