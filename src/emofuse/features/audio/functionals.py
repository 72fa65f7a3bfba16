"""What is said of a contour over an utterance: robust statistics and its trend."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

FUNCTIONALS = ("mean", "std", "p05", "p95", "slope")


def functional_names(columns: Iterable[str]) -> list[str]:
    """Names of `functionals`: each column with each functional as its suffix."""
    return [f"{column}_{functional}" for column in columns for functional in FUNCTIONALS]


def functionals(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean, standard deviation, 5th and 95th percentile, and slope of each row.

    The percentiles stand for least and greatest, which single frames would decide; the slope is the change from start
    to end of the line that fits best. As in GeMAPS (Eyben and others, IEEE Transactions on Affective Computing 2016).

    Args:
        rows: shape (columns, times).

    Returns:
        float32 of shape (5 * columns,), in the order of `functional_names`; NaN where there are no times.
    """
    count = rows.shape[1]
    if not count:
        return np.full(len(FUNCTIONALS) * len(rows), np.nan, np.float32)
    time = np.linspace(-0.5, 0.5, count) if count > 1 else np.zeros(1)
    slope = rows @ time / max(float(time @ time), 1e-12)
    stacked = np.stack([rows.mean(axis=1), rows.std(axis=1), *np.percentile(rows, (5, 95), axis=1), slope], axis=1)
    return stacked.ravel().astype(np.float32)
