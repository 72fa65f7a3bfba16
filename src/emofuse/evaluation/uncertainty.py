"""How far a score, or the difference of two, could be off: the bootstrap, by what was kept apart.

Utterances of a dialogue or a speaker are alike, so that whole groups are drawn, not rows (Field and Welsh, 2007: the
cluster bootstrap). Every model is measured on the same draws, so that a difference is a paired one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from emofuse.core.metrics import scores

LEVEL = 0.95
DIGITS = 6  # of what is written; more would only say which machine computed it
FEW = 30  # groups; with fewer, intervals come out too narrow (tests/unit/test_uncertainty.py measures it)


@dataclass(frozen=True)
class Estimate:
    """m figures, on all rows and on resamples of them; figures of the same bootstrap can be subtracted.

    Attributes:
        value: on all rows, shape (m,).
        resampled: on each resample, shape (resamples, m).
        left_out: without each group in turn, shape (groups, m).
    """

    value: NDArray[np.float64]
    resampled: NDArray[np.float64]
    left_out: NDArray[np.float64]

    def __sub__(self, other: Estimate) -> Estimate:
        """The paired difference."""
        return Estimate(self.value - other.value, self.resampled - other.resampled, self.left_out - other.left_out)

    @classmethod
    def mean(cls, several: Sequence[Estimate]) -> Estimate:
        """The mean of several of the same bootstrap."""
        parts = ("value", "resampled", "left_out")
        return cls(*(np.mean([getattr(each, part) for each in several], axis=0) for part in parts))

    def interval(self, level: float = LEVEL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper bounds, each of shape (m,): BCa, made wider as Student's t is wider than the normal.

        BCa (Efron, 1987) corrects for bias and skewness, both of which F1 has; with few groups it is still too
        narrow, which the wider quantiles mend (Hesterberg, 2015, the expanded percentile interval). NaN where there
        are fewer than two groups.
        """
        groups = len(self.left_out)
        if groups < 2:
            return np.full_like(self.value, np.nan), np.full_like(self.value, np.nan)
        wide = np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, (1 + level) / 2)
        draws = np.sort(self.resampled, axis=0)
        below = ((draws < self.value).mean(axis=0) + (draws <= self.value).mean(axis=0)) / 2
        bias = ndtri(below.clip(0.5 / len(draws), 1 - 0.5 / len(draws)))
        pull = self.left_out.mean(axis=0) - self.left_out
        spread = (pull**2).sum(axis=0) ** 1.5
        skew = np.divide((pull**3).sum(axis=0), 6 * spread, out=np.zeros_like(spread), where=spread > 1e-18)
        moved = (bias - wide, bias + wide)
        low, high = (_quantile(draws, ndtr(bias + z / np.maximum(1 - skew * z, 1e-3))) for z in moved)
        return low, high

    def wins(self) -> NDArray[np.float64]:
        """The share of resamples in which each figure is above 0; a tie counts half. Shape (m,)."""
        wins: NDArray[np.float64] = ((self.resampled > 0).mean(axis=0) + (self.resampled >= 0).mean(axis=0)) / 2
        return wins

    def to_json(self, index: int = 0, level: float = LEVEL) -> dict[str, float | None]:
        """One figure as JSON: `value`, `low`, `high`; bounds are null where there are fewer than two groups."""
        low, high = (bound[index] for bound in self.interval(level))
        return {"value": round(float(self.value[index]), DIGITS), "low": _rounded(low), "high": _rounded(high)}


class Bootstrap:
    """Resamples of n rows by group: the same for all that is measured with them.

    Args:
        groups: what each row belongs to, n keys of any kind.
        resamples: how often to draw as many groups as there are.
        seed: decides the draws.
    """

    def __init__(self, groups: Sequence[Any] | NDArray[Any] | pd.Series, resamples: int, seed: int) -> None:
        self.codes, keys = pd.factorize(np.asarray(groups), sort=False)
        self.groups = len(keys)
        generator = np.random.default_rng(seed)
        self.counts = generator.multinomial(self.groups, np.full(self.groups, 1 / self.groups), size=resamples).astype(
            np.float64
        )

    def scores(self, actual: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> Estimate:
        """The metrics of `METRICS`.

        Args:
            actual: the class of each row, shape (n,).
            predicted: the answer for each row, shape (n,).
            classes: how many there are.
        """
        cells = (self.codes * classes + actual) * classes + predicted
        flat = np.bincount(cells, minlength=self.groups * classes**2).reshape(self.groups, -1).astype(float)
        total = flat.sum(axis=0)
        shape = (-1, classes, classes)
        return Estimate(
            scores(total.reshape(shape))[0],
            scores((self.counts @ flat).reshape(shape)),
            scores((total - flat).reshape(shape)),
        )


def _quantile(draws: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quantile of each sorted column at its own probability, between the two nearest draws."""
    place = at.clip(0, 1) * (len(draws) - 1)
    lower = np.floor(place).astype(int)
    upper = np.minimum(lower + 1, len(draws) - 1)
    columns = np.arange(draws.shape[1])
    result: NDArray[np.float64] = draws[lower, columns] + (place - lower) * (
        draws[upper, columns] - draws[lower, columns]
    )
    return result


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), DIGITS)
