"""Corpora whose file names say what each clip is: label, speaker, sentence, intensity."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams
from emofuse.datasets.meld import existing
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.speaker_sets import SpeakerSet, split_by_speakers

VIDEO = (".mp4", ".flv", ".avi", ".mov", ".mkv", ".webm")
SOUND = (".wav", ".flac", ".m4a", ".mp3", ".ogg", ".opus")
MEDIA = (*VIDEO, *SOUND)  # what shows more first
SHOWN = 3  # names in a note
EMOBOX = re.compile(r"emobox_(\d+)")


@dataclass(frozen=True)
class Performance:
    """What the name of a clip says.

    Attributes:
        name: files of one name are recordings of one performance, of which one is taken: another would leak.
        label: the emotion.
        speaker: who performs.
        text: what is said; empty where the name doesn't tell.
        intensity: of the emotion, where the name tells.
        rank: of the recording; that of the least is taken.
    """

    name: str
    label: str
    speaker: str
    text: str = ""
    intensity: str = ""
    rank: int = 0


@dataclass(frozen=True)
class NamedCorpus:
    """A corpus that is read by the names of its files.

    Attributes:
        title: what its authors call it.
        parse: a path relative to the root, to what it says; None for one that is not of the corpus.
        sets: of test speakers, by the names that people quote.
    """

    title: str
    parse: Callable[[PurePosixPath], Performance | None]
    sets: Mapping[str, SpeakerSet]


def media_below(root: Path) -> list[PurePosixPath]:
    """The video and sound files below a folder, relative to it, in one order on every system."""
    paths = (path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in MEDIA)
    # What begins with a dot is no clip: archives made on a Mac hold a `._` file beside each.
    return sorted(PurePosixPath(path) for path in paths if not any(part.startswith(".") for part in path.parts))


def read_named_clips(params: IngestParams, corpus: NamedCorpus) -> RawRows:
    """Read a corpus, its files anywhere below the root, a row a performance.

    Raises:
        DataError: there is no root, no clip of the corpus in it, or no set of the name that is asked for.
    """
    root = existing(params.root, f"the folder that holds {corpus.title}'s files")
    clips = media_below(root)
    parsed = [(corpus.parse(clip), clip) for clip in clips]
    read = sorted(((one, clip) for one, clip in parsed if one), key=lambda each: _preference(*each))
    if not read:
        names = ", ".join(clip.name for clip in clips[:SHOWN])
        raise DataError(
            f"{root}: found {len(clips)} clips{f', such as {names}' if names else ''}, none named as {corpus.title}'s "
            "are; set ingest.root to the folder that holds them, or ingest.layout to what is there"
        )
    taken: dict[str, tuple[Performance, PurePosixPath]] = {}
    for one, clip in read:
        taken.setdefault(one.name, (one, clip))
    notes = _left_out([clip for one, clip in parsed if one is None], f"whose names aren't those of {corpus.title}")
    again = sorted({clip for _, clip in read} - {clip for _, clip in taken.values()})
    notes += _left_out(again, "of performances of which another recording is taken")
    frame = _frame(sorted(taken.values(), key=lambda each: each[1]))
    names = frame.pop("name")
    if params.set is not None:
        by_list = EMOBOX.fullmatch(params.set)
        splits, more = (
            _split_by_list(names, root, int(by_list[1]), corpus)
            if by_list
            else split_by_speakers(frame["speaker"], params, corpus.sets, "emobox_1 (and so on)")
        )
        frame["split"] = splits
        notes += more
    return RawRows(frame, notes)


def _preference(one: Performance, clip: PurePosixPath) -> tuple[str, int, int, PurePosixPath]:
    return one.name, one.rank, MEDIA.index(clip.suffix.lower()), clip


def _left_out(clips: list[PurePosixPath], why: str) -> list[str]:
    names = ", ".join(clip.as_posix() for clip in clips[:SHOWN]) + (", ..." if len(clips) > SHOWN else "")
    return [f"{len(clips)} clips left out, {why}: {names}"] if clips else []


def _frame(taken: list[tuple[Performance, PurePosixPath]]) -> pd.DataFrame:
    rows = [
        {
            "name": one.name,
            "clip": clip.as_posix(),
            "label": one.label,
            "speaker": one.speaker,
            "text": one.text,
            "intensity": one.intensity,
            "source": clip.as_posix(),  # which names the row whatever else is in the folder
            "row": 1,
        }
        for one, clip in taken
    ]
    return pd.DataFrame(rows)


def _split_by_list(names: pd.Series, root: Path, fold: int, corpus: NamedCorpus) -> tuple[pd.Series, list[str]]:
    """The split of each performance by EmoBox's list of test files (Ma et al., Interspeech 2024)."""
    pattern = f"*_test_fold_{fold}.jsonl"
    path = next(iter(sorted(root.rglob(pattern))), None)
    if path is None:
        raise DataError(
            f"{root}: ingest.set is emobox_{fold}, but found no {pattern} in it; put EmoBox's file of that name there "
            "(github.com/emo-box/EmoBox, data/), or run `emofuse fetch`, which brings it"
        )
    try:
        files = [PurePosixPath(json.loads(line)["wav"]) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: expected a line of JSON with a `wav` for each test file; get it anew") from None
    test = {one.name for file in files if (one := corpus.parse(file))}
    splits = pd.Series(["test" if name in test else "train" for name in names], index=names.index, dtype=object)
    absent = len(files) - int((splits == "test").sum())
    if absent == len(files):
        raise DataError(f"{path}: names {len(files)} test files, none of which is in {root}; get the whole corpus")
    return splits, [f"{path.name}: {absent} of its {len(files)} test files are not here: scores are not those that "
                    "others quote"] if absent else []  # fmt: skip
