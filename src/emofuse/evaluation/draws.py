"""Bootstrap intervals of classification scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

DRAWS = 1000
INTERVAL = (2.5, 97.5)  # percentiles
SCORES = ("accuracy", "unweighted_recall", "weighted_f1")


@dataclass(frozen=True)
class Score:
    """A score and its 95% interval."""

    value: float
    low: float
    high: float


class Draws:
    """Whole groups of rows, such as speakers or dialogues, drawn with replacement (Efron, Annals of Statistics 1979).

    Rows of a group resemble each other, so that drawing single rows would make intervals too narrow. All answers on the
    same rows are scored on the same draws, so that differences between them have intervals too.

    Args:
        actual: the class of each of n rows.
        groups: the group of each.
        seed: decides the draws.
    """

    def __init__(self, actual: NDArray[np.str_], groups: NDArray[np.str_], seed: int) -> None:
        self._actual = actual
        self._labels = np.unique(actual)
        names, self._groups = np.unique(groups, return_inverse=True)
        generator = np.random.default_rng(seed)
        drawn = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
        self._weights = np.vstack([np.ones(len(names)), drawn])  # the first is the data themselves

    def scores(self, predicted: NDArray[np.str_]) -> dict[str, Score]:
        """The answers' accuracy, unweighted recall and weighted F1."""
        return {name: _interval(values) for name, values in self._drawn(predicted).items()}

    def gains(self, predicted: NDArray[np.str_], other: NDArray[np.str_]) -> dict[str, Score]:
        """The same scores less those of other answers."""
        ours, theirs = self._drawn(predicted), self._drawn(other)
        return {name: _interval(ours[name] - theirs[name]) for name in SCORES}

    def _drawn(self, predicted: NDArray[np.str_]) -> dict[str, NDArray[np.float64]]:
        """Each score on the data and on each draw, shape (1 + DRAWS,)."""
        single = np.stack(
            [
                confusion_matrix(self._actual[rows], predicted[rows], labels=self._labels).ravel()
                for rows in (self._groups == group for group in range(self._weights.shape[1]))
            ]
        )
        size = len(self._labels)
        counts = (self._weights @ single).reshape(-1, size, size)
        hits, actual, answered = np.einsum("ncc->nc", counts), counts.sum(axis=2), counts.sum(axis=1)
        seen = np.maximum((actual > 0).sum(axis=1), 1)  # a class that a draw lacks has no recall there
        total = np.maximum(actual.sum(axis=1), 1)
        recall = (hits / np.maximum(actual, 1)).sum(axis=1) / seen
        f1 = (actual * 2 * hits / np.maximum(actual + answered, 1)).sum(axis=1) / total
        return dict(zip(SCORES, (hits.sum(axis=1) / total, recall, f1), strict=True))


def _interval(values: NDArray[np.float64]) -> Score:
    low, high = np.percentile(values[1:], INTERVAL)
    return Score(float(values[0]), float(low), float(high))
