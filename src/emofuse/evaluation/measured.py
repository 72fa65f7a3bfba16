"""The labelled rows of a split, and what every model answers for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emofuse.core.apart import PLURALS, group_keys, group_kind
from emofuse.core.metrics import METRICS
from emofuse.evaluation.uncertainty import Bootstrap, Estimate

WEIGHTED_F1 = METRICS.index("weighted_f1")  # what models are compared by


@dataclass(frozen=True)
class Measured:
    """n labelled rows of one split.

    Attributes:
        rows: of the manifest, numbered from 0.
        classes: all that a label or an answer can be.
        probabilities: of each model, shape (n, classes); 0 for a class that stands in no training row.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    rows: pd.DataFrame
    classes: tuple[str, ...]
    probabilities: Mapping[str, NDArray[np.float64]]
    resamples: int
    seed: int

    @cached_property
    def actual(self) -> NDArray[np.intp]:
        """The class of each row, shape (n,)."""
        codes: NDArray[np.intp] = pd.Index(self.classes).get_indexer(self.rows["label"])
        return codes

    @cached_property
    def bootstrap(self) -> Bootstrap:
        """The draws that all models are measured with."""
        return Bootstrap(group_keys(self.rows), self.resamples, self.seed)

    @property
    def drawn(self) -> str:
        """What the bootstrap draws, in the plural."""
        return PLURALS[group_kind(group_keys(self.rows))]

    def predicted(self, model: str) -> NDArray[np.intp]:
        """A model's answer for each row, shape (n,)."""
        codes: NDArray[np.intp] = self.probabilities[model].argmax(axis=1)
        return codes

    def scores(self, predicted: NDArray[np.intp]) -> Estimate:
        """The metrics of `METRICS` of any answers for these rows, shape (n,)."""
        return self.bootstrap.scores(self.actual, predicted, len(self.classes))

    @cached_property
    def models(self) -> dict[str, Estimate]:
        """The metrics of each model."""
        return {name: self.scores(self.predicted(name)) for name in self.probabilities}

    def part(self, chosen: NDArray[np.bool_]) -> Measured:
        """Some of the rows, with draws of their own."""
        probabilities = {name: values[chosen] for name, values in self.probabilities.items()}
        return Measured(
            self.rows[chosen].reset_index(drop=True), self.classes, probabilities, self.resamples, self.seed
        )


def standings(measured: Measured) -> dict[str, dict[str, dict[str, float | None]]]:
    """The metrics of each model with their intervals, as JSON."""
    return {
        name: {metric: sampled.to_json(index) for index, metric in enumerate(METRICS)}
        for name, sampled in measured.models.items()
    }


def differences(measured: Measured, names: Sequence[str], others: Sequence[str]) -> list[dict[str, Any]]:
    """The paired difference of weighted F1 of each of `names` from each of `others`, as JSON.

    `wins` is the share of resamples in which the first is the better.
    """
    pairs: list[dict[str, Any]] = []
    for name in names:
        for other in others:
            if name != other:
                between = measured.models[name] - measured.models[other]
                wins = float(between.wins()[WEIGHTED_F1])
                pairs.append({"model": name, "against": other, **between.to_json(WEIGHTED_F1), "wins": wins})
    return pairs


def difference_of(pairs: Sequence[Mapping[str, Any]], model: str, against: str) -> Mapping[str, Any] | None:
    """The paired difference of two models among those that `differences` gave; None of a model from itself."""
    return next((pair for pair in pairs if (pair["model"], pair["against"]) == (model, against)), None)
