"""Classification metrics, all by scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support


def summary(
    actual: Sequence[str] | NDArray[np.int64], predicted: Sequence[str] | NDArray[np.int64]
) -> dict[str, float]:
    """Accuracy, weighted F1 and macro F1 (over the classes that occur in either), each 0 to 1."""
    return {
        "accuracy": float(accuracy_score(actual, predicted)),
        "weighted_f1": float(f1_score(actual, predicted, average="weighted", zero_division=0)),
        "macro_f1": float(f1_score(actual, predicted, average="macro", zero_division=0)),
    }


def per_class(actual: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class, in the order of `labels`."""
    scores = precision_recall_fscore_support(actual, predicted, labels=list(labels), zero_division=0)
    return pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), scores, strict=True))).assign(label=labels)[
        ["label", "precision", "recall", "f1", "support"]
    ]


def majority_probabilities(train_labels: Sequence[str], labels: Sequence[str], rows: int) -> NDArray[np.float64]:
    """The training split's class frequencies as every row's answer, shape (rows, classes): the floor of all results."""
    counts = pd.Series(list(train_labels)).value_counts().reindex(labels, fill_value=0).to_numpy(dtype=float)
    return np.tile(counts / counts.sum(), (rows, 1))
