"""Classification metrics, from confusion matrices: of one table of answers, or of thousands at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emofuse.core.params import Metric

METRICS: tuple[str, ...] = get_args(Metric)


def summary(
    actual: Sequence[str] | NDArray[np.int64], predicted: Sequence[str] | NDArray[np.int64]
) -> dict[str, float]:
    """Accuracy, weighted F1, macro F1 (over the classes that occur in either) and unweighted recall, each 0 to 1."""
    counts = confusion(actual, predicted, sorted({*actual, *predicted}))
    return dict(zip(METRICS, scores(counts).tolist(), strict=True))


def worded(metric: str) -> str:
    """The name of one of `METRICS` as people write it.

    >>> worded("weighted_f1")
    'weighted F1'
    """
    return metric.replace("_f1", " F1").replace("_", " ")


def confusion(
    actual: Sequence[Any] | NDArray[Any], predicted: Sequence[Any] | NDArray[Any], classes: Sequence[Any]
) -> NDArray[np.float64]:
    """Counts of shape (classes, classes), rows actual, columns predicted; every answer is one of `classes`."""
    index = pd.Index(classes)
    cells = index.get_indexer(actual) * len(index) + index.get_indexer(predicted)
    return np.bincount(cells, minlength=len(index) ** 2).reshape(len(index), -1).astype(float)


def scores(confusions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The metrics of `METRICS`, as `summary` gives them, of any number of weighted confusion matrices.

    Args:
        confusions: shape (..., classes, classes), rows actual, columns predicted. A class that neither occurs nor is
            answered in a matrix is left out of its macro F1; one that doesn't occur, of its unweighted recall, the mean
            of the classes' recalls (UAR: Schuller et al., Interspeech 2009).

    Returns:
        Shape (..., 4); 0 for a matrix without a row.
    """
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    support = confusions.sum(axis=-1)
    either = support + confusions.sum(axis=-2)
    f1 = _ratio(2 * hits, either)
    rows = support.sum(axis=-1)
    return np.stack(
        [
            _ratio(hits.sum(axis=-1), rows),
            _ratio((f1 * support).sum(axis=-1), rows),
            _ratio(f1.sum(axis=-1), (either > 0).sum(axis=-1)),
            _ratio(_ratio(hits, support).sum(axis=-1), (support > 0).sum(axis=-1)),
        ],
        axis=-1,
    )


def per_class(actual: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class, in the order of `labels`."""
    counts = confusion(actual, predicted, labels)
    hits, support, answered = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    return pd.DataFrame(
        {
            "label": labels,
            "precision": _ratio(hits, answered),
            "recall": _ratio(hits, support),
            "f1": _ratio(2 * hits, support + answered),
            "support": support.astype(int),
        }
    )


def majority_probabilities(train_labels: Sequence[str], labels: Sequence[str], rows: int) -> NDArray[np.float64]:
    """The training split's class frequencies as every row's answer, shape (rows, classes): the floor of all results."""
    counts = pd.Series(list(train_labels)).value_counts().reindex(labels, fill_value=0).to_numpy(dtype=float)
    return np.tile(counts / counts.sum(), (rows, 1))


def _ratio(above: NDArray[np.floating], below: NDArray[np.floating | np.integer]) -> NDArray[np.float64]:
    """Quotients, 0 where the divisor is 0."""
    result: NDArray[np.float64] = np.divide(above, below, out=np.zeros(np.shape(above)), where=below > 0)
    return result
