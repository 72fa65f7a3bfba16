"""From a layout's rows to the manifest: every row is kept, and what is wrong with it is a value in it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from pkgutil import resolve_name

import pandas as pd

from emofuse.core.apart import PLURALS, group_kind
from emofuse.core.errors import DataError
from emofuse.core.layouts import LAYOUTS
from emofuse.core.params import IngestParams
from emofuse.core.records import PREDICT, SPLITS, FeatureTable
from emofuse.core.tables import MANIFEST
from emofuse.core.text import clean_text, normal_form
from emofuse.datasets import values
from emofuse.datasets.clips import ClipFolder, content_hashes
from emofuse.datasets.contract import validate
from emofuse.datasets.duplicates import LEAKS, NEAR_SOUND, Duplicates, find_duplicates, find_near_sounds
from emofuse.datasets.groups import group_rows
from emofuse.datasets.provenance import provenance_notes
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.splits import cut

Sounds = Callable[[pd.DataFrame], FeatureTable]  # the features of the sounds of a manifest's rows


def build_manifest(
    params: IngestParams, seed: int, cache: Path | None = None, sounds: Sounds | None = None
) -> tuple[pd.DataFrame, list[str]]:
    """Read the data and derive what every row of the manifest carries.

    Args:
        params: where the data is, and how it is laid out.
        seed: source of all chance.
        cache: folder in which the clips' hashes are kept, so that extraction need not take them again.
        sounds: gives the features by which `ingest.drop_leaks` tells the same sound in other files; called where it
            holds `sound`.

    Returns:
        The manifest, and notes on the data as a whole.

    Raises:
        DataError: the data can't be read, or nothing can be learnt from it: no row, no clip and no text in any row, no
            label, one class, or a split without a labelled row.
    """
    frame, notes = _read_rows(params)
    frame["split"], made = cut(frame, params.shares, seed) if frame["label"].notna().any() else (frame["split"], [])
    frame, more = _ordered(frame, params.root, cache)
    if params.drop_leaks:
        kinds = {LEAKS[name] for name in params.drop_leaks}
        more.append(_drop_leaks(frame, [same for same in _duplicates(frame, kinds, sounds) if same.leaks]))
    _refuse_hopeless(frame, params)
    return _checked(frame), [*notes, *more, *made]


def read_corpus(params: IngestParams, cache: Path | None = None) -> pd.DataFrame:
    """The manifest of data that a finished model is measured on: one class will do, and no split is cut.

    Args:
        params: where the data is, and how it is laid out.
        cache: as of `build_manifest`.

    Raises:
        DataError: the data can't be read, or has no row.
    """
    frame, _ = _read_rows(params)
    return _checked(_ordered(frame, params.root, cache)[0])


def _read_rows(params: IngestParams) -> tuple[pd.DataFrame, list[str]]:
    """The rows in the data's order, their cells read, each with its group."""
    read: Callable[[IngestParams], RawRows] = resolve_name(LAYOUTS[params.layout])
    raw = read(params)
    frame, notes = raw.completed(), [*provenance_notes(params.root), *raw.notes]
    if frame.empty:
        raise DataError(f"{params.root}: found no rows, expected at least one utterance a split")
    _read_values(frame, params)
    frame["group"], chosen = group_rows(frame, params.apart)
    return frame, [*notes, chosen]


def _ordered(frame: pd.DataFrame, root: Path, cache: Path | None) -> tuple[pd.DataFrame, list[str]]:
    """The rows in the manifest's order, with their places, clocks and clips' hashes, and notes on their times."""
    frame = _placed(frame)
    notes = _set_clocks(frame)
    frame["clip_sha256"] = pd.Series(content_hashes(root, frame["clip"].tolist(), cache), dtype=object)
    return frame, notes


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    manifest = frame[MANIFEST.names]
    validate(manifest)
    return manifest


def _read_values(frame: pd.DataFrame, params: IngestParams) -> None:
    """Turn cells as found into values, in place, and say in `issues` what is wrong with each."""
    times = [values.times(start, end) for start, end in zip(frame["start"], frame["end"], strict=True)]
    labels = [values.label(text, params.labels) for text in frame["label"]]
    folder = ClipFolder(params.root)
    clips = [folder.locate(path) for path in frame["clip"]]
    frame["start"], frame["end"] = [start for start, _, _ in times], [end for _, end, _ in times]
    frame["label"] = pd.Series([name for name, _ in labels], dtype=object)
    frame["clip"] = pd.Series([path for path, _ in clips], dtype=object)
    frame["clean_text"] = frame["text"].map(clean_text)
    frame["speaker"] = frame["speaker"].map(normal_form)
    for name in ("dialogue", "utterance"):
        frame[name] = frame[name].map(lambda cell: normal_form(str(cell)), na_action="ignore")
    frame["alone"] = frame["dialogue"].isna() | (frame["dialogue"] == "")
    own = frame["source"] + ":" + frame["row"].astype(str)
    frame["dialogue"] = frame["dialogue"].where(~frame["alone"], own)
    frame["row_id"] = frame["row_id"].fillna(frame["row"].astype(str))
    frame["issues"] = [
        # Rows that are only predicted are expected to have no label.
        [*issues, *time[2], *clip[1], *(label[1] if split != PREDICT else [])]
        for issues, time, clip, label, split in zip(frame["issues"], times, clips, labels, frame["split"], strict=True)
    ]


def _placed(frame: pd.DataFrame) -> pd.DataFrame:
    """Order rows by split, dialogue and utterance; number them within their dialogues; keys become unique."""
    number = pd.to_numeric(frame["utterance"], errors="coerce")
    _say(
        frame,
        number.isna() & ~frame["alone"] & frame["utterance"].notna(),
        "position unreadable: put last in its dialogue",
    )
    frame["utterance"] = number.where(number.abs() < 2**53)
    order = frame.assign(
        split_order=frame["split"].map([*SPLITS, PREDICT].index),
        dialogue_number=pd.to_numeric(frame["dialogue"], errors="coerce"),
    ).sort_values(["split_order", "dialogue_number", "dialogue", "utterance"], kind="stable", ignore_index=True)
    groups = order.groupby(["split", "dialogue"], sort=False)
    order["position"] = groups.cumcount().where(~order["alone"])
    order["dialogue_length"] = groups["row"].transform("size").where(~order["alone"])
    twice = order.duplicated(["split", "dialogue", "utterance"]) & order["utterance"].notna()
    _say(order, twice, "repeats the number of another utterance of its dialogue; renumbered")
    whole = order["utterance"].notna() & (order["utterance"] % 1 == 0) & ~twice
    order["utterance"] = _numbers(order, whole)
    return order


def _numbers(order: pd.DataFrame, usable: pd.Series) -> pd.Series:
    """Utterance numbers as found where usable, else the next after the greatest of the dialogue."""
    numbers = order["utterance"].where(usable)
    greatest = numbers.groupby([order["split"], order["dialogue"]], sort=False).transform("max").fillna(-1)
    rank = (~usable).groupby([order["split"], order["dialogue"]], sort=False).cumsum()
    return numbers.fillna(greatest + rank).astype("int64")


def _set_clocks(frame: pd.DataFrame) -> list[str]:
    """Say in place what the times of each row are counted on: what the layout says, else the dialogue's.

    Where most lines of a table begin before the line ahead of them ends, its times start anew with every clip: then
    each row is its own clock.

    Returns:
        A note on each such table.
    """
    own = frame["source"] + ":" + frame["row"].astype(str)
    clock = frame["clock"].fillna(frame["source"] + ":" + frame["dialogue"])
    ahead = frame.groupby(["split", "dialogue"], sort=False)["end"].shift()
    pairs = frame["start"].notna() & ahead.notna()
    shares = (frame["start"] < ahead)[pairs].groupby(frame["source"]).mean()
    anew = shares.index[shares > 0.5]
    frame["clock"] = clock.mask(frame["source"].isin(anew), own)
    return [f"{source}: times start anew with every clip, so they are not compared" for source in anew]


def _duplicates(frame: pd.DataFrame, kinds: Container[str], sounds: Sounds | None) -> Iterator[Duplicates]:
    yield from (same for same in find_duplicates(frame) if same.kind in kinds)
    if NEAR_SOUND in kinds:
        if sounds is None:
            raise DataError("found `sound` in ingest.drop_leaks, but no features of sounds; give them as `sounds`")
        yield from find_near_sounds(frame, sounds(frame[MANIFEST.names]))


def _drop_leaks(frame: pd.DataFrame, leaks: Iterable[Duplicates]) -> str:
    """Take the label from training rows that say the same as a row that is measured on; gives a note."""
    reasons: dict[int, str] = {}
    for same in leaks:
        there = next(frame.loc[row] for row in same.rows if frame.at[row, "split"] in ("dev", "test"))
        where = f"{there['split']} dialogue {there['dialogue']} utterance {there['utterance']}"
        for row in same.rows:
            if frame.at[row, "split"] == "train":
                reasons.setdefault(row, f"{same.kind} as {where}")
    for row, reason in reasons.items():
        frame.at[row, "issues"] = [
            *frame.at[row, "issues"],
            f"dropped from train: {reason}; was {frame.at[row, 'label']}",
        ]
        frame.at[row, "label"] = None
    return f"{len(reasons)} training rows dropped: they say the same as a dev or test row"


def _say(frame: pd.DataFrame, rows: pd.Series, issue: str) -> None:
    frame["issues"] = [[*issues, issue] if bad else issues for issues, bad in zip(frame["issues"], rows, strict=True)]


def refuse_unfoldable(manifest: pd.DataFrame, folds: int | str, root: Path) -> None:
    """Refuse data that can't be cross-validated before hours go into what is extracted from it.

    Args:
        manifest: of the data.
        folds: `train.folds`.
        root: `ingest.root`, to name the data by.

    Raises:
        DataError: the training split has fewer groups, or fewer rows of every class, than folds; or, where one speaker
            is left out at a time, rows without a speaker or of fewer than two.
    """
    rows = manifest[(manifest["split"] == "train") & manifest["label"].notna()]
    if isinstance(folds, str):
        speakers, unnamed = set(rows["speaker"]) - {""}, int((rows["speaker"] == "").sum())
        if unnamed or len(speakers) < 2:
            raise DataError(
                f"{root}: the train split has {len(speakers)} speakers and {unnamed} labelled rows without one, "
                "expected two or more and a speaker in each row for train.folds = speaker; set it to a number"
            )
        return
    least = {
        f"{PLURALS[group_kind(rows['group'])]} with labelled rows": rows["group"].nunique(),
        "labelled rows of its largest class": rows["label"].value_counts().max(),
    }
    for what, count in least.items():
        if count < folds:
            other = f", or set train.folds to {count}" if count > 1 else ""
            raise DataError(
                f"{root}: the train split has {count} {what}, expected at least train.folds = {folds}; add more{other}"
            )


def _refuse_hopeless(frame: pd.DataFrame, params: IngestParams) -> None:
    root: Path = params.root
    if not (frame["clip"].notna() | (frame["clean_text"] != "")).any():
        problems = frame["issues"].explode().dropna()
        common = f"; the commonest fault: {problems.value_counts().index[0]}" if len(problems) else ""
        raise DataError(f"{root}: every one of {len(frame)} rows is without a clip and without text{common}")
    if frame["label"].isna().all():
        raise DataError(
            f"{root}: no label left in {len(frame)} rows; check the label column and what ingest.labels drops"
        )
    for split in SPLITS:
        if not frame.loc[frame["split"] == split, "label"].notna().any():
            raise DataError(f"{root}: no labelled row in the {split} split; expected at least one")
    classes = frame.loc[frame["split"] == "train", "label"].dropna().unique()
    if len(classes) < 2:
        raise DataError(f"{root}: the train split has one class, {classes[0]!r}; expected at least two")
