"""Where a model fails: its score on rows that have something in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emofuse.core.metrics import METRICS
from emofuse.core.params import FACE_SHARE
from emofuse.core.records import FeatureTable
from emofuse.evaluation.measured import Measured

Chosen = NDArray[np.bool_]
LENGTHS = ("up to 5 lines", "6 to 10 lines", "11 to 15 lines", "over 15 lines")
PLACES = ("first line", "first half", "second half", "last line")
WORDS = ("no words", "1 to 3 words", "4 to 8 words", "9 to 15 words", "over 15 words")
HEARD = ("given text", "heard text")
SHARES = ("seen in up to half", "seen in over half", "seen in over nine tenths")
SHIFTS = ("as in the line before", "other than in the line before")


def slice_scores(measured: Measured, slices: Sequence[tuple[str, str, Chosen]]) -> dict[str, list[dict[str, Any]]]:
    """Each model's scores on each slice, the worst weighted F1 first, as JSON."""
    scored: dict[str, list[dict[str, Any]]] = {model: [] for model in measured.probabilities}
    for kind, value, chosen in slices:
        part = measured.part(chosen)
        counts = {"rows": int(chosen.sum()), "groups": part.bootstrap.groups}
        for model, estimate in part.models.items():
            scores = {metric: estimate.to_json(METRICS.index(metric)) for metric in ("accuracy", "weighted_f1")}
            scored[model].append({"kind": kind, "value": value, **counts, **scores})
    for rows in scored.values():
        rows.sort(key=lambda each: (each["weighted_f1"]["value"], each["kind"], each["value"]))
    return scored


def find_slices(rows: pd.DataFrame, tables: Mapping[str, FeatureTable], least: int) -> list[tuple[str, str, Chosen]]:
    """Kind, value and rows of each slice that has at least `least` rows, and not all of them.

    Args:
        rows: n labelled rows of the manifest, numbered from 0.
        tables: features of these rows.
        least: rows.
    """
    slices = []
    for kind, values in _values(rows, tables):
        for value in sorted(values.dropna().unique()):
            chosen = (values == value).to_numpy(dtype=bool)
            if least <= chosen.sum() < len(rows):
                slices.append((kind, str(value), chosen))
    return slices


def _values(rows: pd.DataFrame, tables: Mapping[str, FeatureTable]) -> Iterator[tuple[str, pd.Series]]:
    length = rows["dialogue_length"].astype(float)
    place = rows["position"].astype(float) / (length - 1).clip(lower=1)
    words = rows["text"].fillna("").str.split().str.len().astype(float)
    yield "speaker", rows["speaker"].mask(rows["speaker"] == "")
    yield "intensity", rows["intensity"].mask(rows["intensity"] == "")
    yield "dialogue", pd.cut(length, [0, 5, 10, 15, np.inf], labels=LENGTHS)
    yield "position", pd.cut(place, [-1, 0, 0.5, 0.999, 1], labels=PLACES)
    yield "text", pd.cut(words, [-1, 0, 3, 8, 15, np.inf], labels=WORDS)
    if "heard" in rows and rows["heard"].any():  # data that is scored without the pipeline does not say so
        yield "text", pd.Series(np.take(HEARD, rows["heard"].astype(int)), dtype=object).mask(words == 0)
    for modality, table in tables.items():
        for column in (name for name in table.names if name.startswith(FACE_SHARE)):
            share = pd.Series(table.values[:, table.names.index(column)]).where(table.present)
            yield "face", pd.cut(share, [-1, 0.5, 0.9, 1], labels=SHARES)
        yield "missing", pd.Series([None if present else modality for present in table.present], dtype=object)
    yield "emotion", _shift(rows)


def _shift(rows: pd.DataFrame) -> pd.Series:
    """Whether a row's label is that of the line before; none where that line is unlabelled or there is none."""
    placed = rows.dropna(subset=["position"])
    labels = dict(
        zip(zip(placed["split"], placed["dialogue"], placed["position"], strict=True), placed["label"], strict=True)
    )
    shifts: list[str | None] = []
    for split, dialogue, position, label in zip(
        *(rows[name] for name in ("split", "dialogue", "position", "label")), strict=True
    ):
        before = labels.get((split, dialogue, position - 1))
        shifts.append(None if before is None else SHIFTS[before != label])
    return pd.Series(shifts, dtype=object)
