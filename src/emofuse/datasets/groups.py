"""Which rows must not be parted by a split or a fold: those of a dialogue, of a speaker, or linked through both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from emofuse.core.apart import PLURALS, group_kind
from emofuse.core.errors import DataError
from emofuse.core.params import Apart
from emofuse.core.records import SPLITS


def group_rows(frame: pd.DataFrame, apart: Apart) -> tuple[pd.Series, str]:
    """Name the group of each row.

    Args:
        frame: rows with `split` as the data brings it, `dialogue`, `speaker`, `source`, `row`, and `alone` where a row
            is in no dialogue.
        apart: of what a group consists. `auto` takes dialogues where there are any, else speakers, else rows: speakers
            of two dialogues who are both called A may be two people.

    Returns:
        The groups, each name beginning with its kind, and a note on what was chosen.

    Raises:
        DataError: what is asked for is in no row.
    """
    dialogue = ("dialogue " + frame["split"] + "/" + frame["dialogue"]).mask(frame["alone"])
    speaker = ("speaker " + frame["speaker"]).mask(frame["speaker"] == "")
    own = "row " + frame["source"] + ":" + frame["row"].astype(str)
    columns = {"dialogue": dialogue, "speaker": speaker}
    kind = next((name for name, keys in columns.items() if keys.notna().any()), "row") if apart == "auto" else apart
    for name in columns if kind == "both" else set(columns) & {kind}:
        if columns[name].isna().all():
            raise DataError(
                f"ingest.apart is {apart}, but no row has a {name}; name the column that holds it (ingest.table.{name} "
                "of a table), or set ingest.apart to auto"
            )
    groups = _linked(dialogue, speaker) if kind == "both" else columns.get(kind, own)
    lacking = int(groups.isna().sum())
    rest = f"; {lacking} rows have none and stand alone" if lacking else ""
    chosen = " (ingest.apart: auto)" if apart == "auto" else ""
    return groups.fillna(own), f"kept apart in splits and folds: {PLURALS[kind]}{chosen}{rest}"


def _linked(dialogue: pd.Series, speaker: pd.Series) -> pd.Series:
    """Rows that are linked by a dialogue or a speaker, however many links away: the connected components."""
    from scipy.sparse import coo_array  # loads for a while, and most data is kept apart by one thing
    from scipy.sparse.csgraph import connected_components

    rows = np.arange(len(dialogue))
    links = []
    start = len(dialogue)
    for keys in (dialogue, speaker):
        codes, names = pd.factorize(keys)
        there = codes >= 0
        links.append(np.stack([rows[there], start + codes[there]]))
        start += len(names)
    ends = np.concatenate(links, axis=1)
    parts = connected_components(coo_array((np.ones(ends.shape[1]), ends), shape=(start, start)), directed=False)[1]
    numbers = pd.Series(pd.factorize(parts[: len(dialogue)])[0] + 1, index=dialogue.index)
    return ("both " + numbers.astype(str)).mask(dialogue.isna() & speaker.isna())


def kept_apart(manifest: pd.DataFrame) -> dict[str, Any]:
    """What is kept apart, and who stands on both sides of the splits all the same, as JSON.

    `leaks` says that speakers of test are in train, or that groups are, where the data brings its own split.
    """
    train = manifest[manifest["split"] == "train"]
    measured = {split: manifest[manifest["split"] == split] for split in SPLITS[1:]}
    shared = {split: _shared_with(part, train) for split, part in measured.items()}
    kind = group_kind(manifest["group"])
    return {
        "by": "dialogue and speaker" if kind == "both" else kind,
        "groups": {str(split): int(n) for split, n in manifest.groupby("split", sort=False)["group"].nunique().items()},
        "shared": shared,
        "leaks": any(counts["groups_in_train"] or counts["speakers_in_train"] for counts in shared.values()),
        "headline": _headline(shared[SPLITS[-1]], SPLITS[-1]),
    }


def _shared_with(part: pd.DataFrame, train: pd.DataFrame) -> dict[str, int]:
    speakers = set(part["speaker"]) - {""}
    trained = set(train["speaker"])
    return {
        "rows": len(part),
        "speakers": len(speakers),
        "speakers_in_train": len(speakers & trained),
        "rows_by_them": int(part["speaker"].isin(speakers & trained).sum()),
        "groups_in_train": len(set(part["group"]) & set(train["group"])),
    }


def _headline(counts: Mapping[str, int], split: str) -> str:
    """Who of a split is in train, in a sentence or two."""
    if not counts["speakers"]:
        return f"Speakers are not known: whether those of {split} are in train can't be told."
    sentence = f"{counts['speakers_in_train']} of {counts['speakers']} {split} speakers are in train"
    if not counts["speakers_in_train"]:
        return f"{sentence}."
    share = counts["rows_by_them"] / counts["rows"]
    return f"{sentence}; they say {share:.0%} of its rows. How people are read who are new to a model is not measured."
