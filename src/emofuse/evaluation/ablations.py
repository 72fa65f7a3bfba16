"""What each modality and each feature adds: models measured with some of their input hidden or shuffled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emofuse.core.apart import dialogue_keys
from emofuse.evaluation.measured import WEIGHTED_F1, Measured
from emofuse.evaluation.subject import Hidden, Shuffled, Subject
from emofuse.evaluation.uncertainty import Estimate

BLOCK = 50  # columns that differ in their number alone, such as an embedding's, are shuffled as one from this many on
SHUFFLED_ROWS = 2000  # in all, of a modality or a feature; where rows are few, the mean of several shuffles is steadier
SHUFFLES = 3  # at most
NAMED = 12  # features that are measured on all rows
SCREENED = 15_000  # rows answered, over all features, to find those
AT_ONCE = 1000  # of these rows


def subsets(modalities: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every choice of at least one modality: all, then all but one, down to each alone."""
    for size in range(len(modalities), 0, -1):
        yield from combinations(modalities, size)


def subset_scores(subject: Subject, measured: Measured) -> list[dict[str, Any]]:
    """Weighted F1 of a model from each subset of its modalities, and what it loses against all of them, as JSON."""
    whole = measured.scores(subject.answer().argmax(axis=1))
    rows = []
    for kept in subsets(subject.modalities):
        gone = Hidden(tuple(name for name in subject.modalities if name not in kept))
        left = measured.scores(subject.answer(gone).argmax(axis=1))
        rows.append(
            {"modalities": list(kept), **left.to_json(WEIGHTED_F1), "lost": (whole - left).to_json(WEIGHTED_F1)}
        )
    return rows


def modality_importance(subject: Subject, measured: Measured, seed: int) -> dict[str, dict[str, float | None]]:
    """How much weighted F1 falls when each modality is shuffled among the rows (Breiman, 2001), as JSON."""
    whole = measured.scores(subject.answer().argmax(axis=1))
    return {
        name: (whole - _shuffled_scores(subject, measured, name, None, seed)).to_json(WEIGHTED_F1)
        for name in subject.modalities
    }


def feature_importance(subject: Subject, measured: Measured, seed: int) -> list[dict[str, Any]]:
    """The same for the features that matter most, the most important first, as JSON.

    They are found by shuffling each feature on a few dialogues and looking at how far the answers move: the search
    looks at no label, and its cost is bounded whatever the number of features. An embedding's columns are one feature.
    """
    everything = features(subject)
    few = subject.part(_few(subject.rows, SCREENED // len(everything)))
    own = few.answer_all()
    changes = [Shuffled(modality, columns, (seed, number)) for number, (modality, _, columns) in enumerate(everything)]
    size = max(1, AT_ONCE // len(few.rows))
    moved = np.concatenate(
        [
            np.abs(few.answers(changes[start : start + size]) - own).mean(axis=(1, 2))
            for start in range(0, len(changes), size)
        ]
    )
    whole = measured.scores(subject.answer().argmax(axis=1))
    rows = []
    for index in np.argsort(moved, kind="stable")[::-1][:NAMED]:
        modality, name, columns = everything[index]
        without = _shuffled_scores(subject, measured, modality, columns, seed)
        fall = (whole - without).to_json(WEIGHTED_F1)
        rows.append({"modality": modality, "feature": name, "columns": len(columns), **fall})
    return sorted(rows, key=lambda feature: -feature["value"])


def features(subject: Subject) -> list[tuple[str, str, tuple[int, ...]]]:
    """Modality, name and columns of each feature; numbered columns are one where there are many of them."""
    listed = []
    for modality in subject.modalities:
        stems: dict[str, list[int]] = {}
        for index, name in enumerate(subject.tables[modality].names):
            stems.setdefault(re.sub(r"\d+", "*", name), []).append(index)
        for stem, columns in stems.items():
            if len(columns) >= BLOCK:
                listed.append((modality, stem, tuple(columns)))
            else:
                listed += [(modality, subject.tables[modality].names[column], (column,)) for column in columns]
    return listed


def _shuffled_scores(
    subject: Subject, measured: Measured, modality: str, columns: tuple[int, ...] | None, seed: int
) -> Estimate:
    """The scores when a modality or some of its columns are shuffled, mean of several times where rows are few."""
    times = min(SHUFFLES, 1 + SHUFFLED_ROWS // len(subject.rows))
    answers = (subject.answer(Shuffled(modality, columns, (seed, number))) for number in range(times))
    return Estimate.mean([measured.scores(each.argmax(axis=1)) for each in answers])


def _few(rows: pd.DataFrame, count: int) -> NDArray[np.bool_]:
    """Which rows are of the first dialogues that hold no more than `count` rows together, at least one of them."""
    codes = pd.factorize(dialogue_keys(rows))[0]
    sizes = np.bincount(codes).cumsum()
    chosen: NDArray[np.bool_] = (sizes <= max(count, sizes[0]))[codes]
    return chosen
