"""What each modality and each feature adds: models measured with some of their input hidden or shuffled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emofuse.evaluation.measured import WEIGHTED_F1, Measured
from emofuse.evaluation.uncertainty import Sampled, dialogue_keys
from emofuse.predictor import Predictor
from emofuse.schema import FeatureTable

HIDDEN = "hidden for the evaluation"
BLOCK = 50  # columns that differ in their number alone, such as an embedding's, are shuffled as one from this many on
SHUFFLES = 3  # of each modality; the mean is reported
FEATURE_SHUFFLES = 2  # of each feature; they make most of the evaluation's cost
NAMED = 12  # features that are measured on all rows
SCREENED = 15_000  # rows answered, over all features, to find those
Tables = Mapping[str, FeatureTable]


@dataclass(frozen=True)
class Subject:
    """A model, and rows for it to answer: the one place where the evaluation asks a predictor.

    Attributes:
        predictor: the model.
        rows: of the manifest, whole dialogues, labelled or not, numbered from 0.
        tables: features of these rows.
    """

    predictor: Predictor
    rows: pd.DataFrame
    tables: Tables

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the model reads."""
        return tuple(self.predictor.bundle.features)

    def answer(self, tables: Tables | None = None) -> NDArray[np.float64]:
        """Probabilities of each labelled row, shape (n, classes), from its own features or others in their place."""
        read = self._read(self.tables if tables is None else tables)
        return self.predictor.probabilities(read, self.rows, weighed=False)[0][self.labelled]

    def answer_all(self) -> NDArray[np.float64]:
        """Probabilities of every row, labelled or not, shape (rows, classes)."""
        return self.predictor.probabilities(self._read(self.tables), self.rows, weighed=False)[0]

    def weights(self) -> NDArray[np.float64]:
        """How much each modality moved the answer for each row, shape (rows, modalities)."""
        return self.predictor.probabilities(self._read(self.tables), self.rows)[1]

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label."""
        found: NDArray[np.bool_] = self.rows["label"].notna().to_numpy()
        return found

    def part(self, chosen: NDArray[np.bool_]) -> Subject:
        """The same model with some of the rows."""
        rows = self.rows[chosen].reset_index(drop=True)
        return Subject(self.predictor, rows, {name: table.select(chosen) for name, table in self.tables.items()})

    def _read(self, tables: Tables) -> Tables:
        return {modality: tables[modality] for modality in self.modalities}


def hidden(tables: Tables, modalities: Sequence[str]) -> Tables:
    """The same features with some modalities absent from every row."""
    gone = {
        name: replace(
            tables[name],
            values=np.zeros_like(tables[name].values),
            present=np.zeros_like(tables[name].present),
            reasons=(HIDDEN,) * len(tables[name].reasons),
        )
        for name in modalities
        if name in tables
    }
    return {**tables, **gone}


def shuffled(tables: Tables, modality: str, columns: Sequence[int] | None, chance: np.random.Generator) -> Tables:
    """The same features with a modality, or some of its columns, dealt anew among the rows that have it.

    Presence stays where it is: what is measured is what a value tells, not that there is one.
    """
    table = tables[modality]
    present = table.present.nonzero()[0]
    dealt = chance.permutation(present)
    values = table.values.copy()
    if columns is None:
        values[present] = table.values[dealt]
    else:
        values[np.ix_(present, np.array(columns))] = table.values[np.ix_(dealt, np.array(columns))]
    return {**tables, modality: replace(table, values=values)}


def subsets(modalities: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Every choice of at least one modality: all, then all but one, down to each alone."""
    for size in range(len(modalities), 0, -1):
        yield from combinations(modalities, size)


def subset_scores(subject: Subject, measured: Measured) -> list[dict[str, Any]]:
    """Weighted F1 of a model from each subset of its modalities, and what it loses against all of them, as JSON."""
    whole = measured.scores(subject.answer().argmax(axis=1))
    told = []
    for kept in subsets(subject.modalities):
        gone = [name for name in subject.modalities if name not in kept]
        found = measured.scores(subject.answer(hidden(subject.tables, gone)).argmax(axis=1)) if gone else whole
        told.append({"modalities": list(kept), **found.told(WEIGHTED_F1), "lost": (whole - found).told(WEIGHTED_F1)})
    return told


def modality_importance(subject: Subject, measured: Measured, seed: int) -> dict[str, dict[str, float | None]]:
    """How much weighted F1 falls when each modality is shuffled among the rows (Breiman, 2001), as JSON."""
    whole = measured.scores(subject.answer().argmax(axis=1))
    told = {}
    for name in subject.modalities:
        told[name] = (whole - _shuffled_scores(subject, measured, name, None, SHUFFLES, seed)).told(WEIGHTED_F1)
    return told


def feature_importance(subject: Subject, measured: Measured, seed: int) -> list[dict[str, Any]]:
    """The same for the features that matter most, the most important first, as JSON.

    They are found by shuffling each feature on a few dialogues and looking at how far the answers move: the search
    looks at no label, and its cost is bounded whatever the number of features. An embedding's columns are one feature.
    """
    found = features(subject)
    few = subject.part(_few(subject.rows, SCREENED // len(found)))
    own = few.answer()
    chance = np.random.default_rng(seed)
    moved = [np.abs(few.answer(shuffled(few.tables, m, columns, chance)) - own).mean() for m, _, columns in found]
    whole = measured.scores(subject.answer().argmax(axis=1))
    told = []
    for index in np.argsort(moved, kind="stable")[::-1][:NAMED]:
        modality, name, columns = found[index]
        without = _shuffled_scores(subject, measured, modality, columns, FEATURE_SHUFFLES, seed)
        fall = (whole - without).told(WEIGHTED_F1)
        told.append({"modality": modality, "feature": name, "columns": len(columns), **fall})
    return sorted(told, key=lambda feature: -feature["value"])


def features(subject: Subject) -> list[tuple[str, str, list[int]]]:
    """Modality, name and columns of each feature; numbered columns are one where there are many of them."""
    found = []
    for modality in subject.modalities:
        stems: dict[str, list[int]] = {}
        for index, name in enumerate(subject.tables[modality].names):
            stems.setdefault(re.sub(r"\d+", "*", name), []).append(index)
        for stem, columns in stems.items():
            if len(columns) >= BLOCK:
                found.append((modality, stem, columns))
            else:
                found += [(modality, subject.tables[modality].names[column], [column]) for column in columns]
    return found


def _shuffled_scores(
    subject: Subject, measured: Measured, modality: str, columns: Sequence[int] | None, times: int, seed: int
) -> Sampled:
    """The scores when a modality or some of its columns are shuffled, mean of so many times."""
    chance = np.random.default_rng(seed)
    dealt = (shuffled(subject.tables, modality, columns, chance) for _ in range(times))
    return Sampled.mean([measured.scores(subject.answer(tables).argmax(axis=1)) for tables in dealt])


def _few(rows: pd.DataFrame, count: int) -> NDArray[np.bool_]:
    """Which rows are of the first dialogues that hold no more than `count` rows together, at least one of them."""
    codes = pd.factorize(dialogue_keys(rows))[0]
    sizes = np.bincount(codes).cumsum()
    chosen: NDArray[np.bool_] = (sizes <= max(count, sizes[0]))[codes]
    return chosen
