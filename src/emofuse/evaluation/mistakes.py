"""The most confident mistakes, and who is taken for whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from emofuse.core.records import KEY
from emofuse.evaluation.measured import Measured

SHOWN = 12


def mistakes(measured: Measured, model: str) -> list[dict[str, Any]]:
    """The wrong answers that a model was surest of, as JSON."""
    probabilities = measured.probabilities[model]
    predicted = measured.predicted(model)
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    wrong = order[predicted[order] != measured.actual[order]][:SHOWN]
    return [
        {
            **{name: _plain(measured.rows[name].iloc[row]) for name in (*KEY, "speaker", "text", "clip", "label")},
            "predicted": measured.classes[predicted[row]],
            "confidence": float(confidence[row]),
            "of_the_label": float(probabilities[row, measured.actual[row]]),
        }
        for row in wrong
    ]


def confusion_counts(measured: Measured, model: str) -> list[list[int]]:
    """Counts of shape (classes, classes): rows actual, columns predicted."""
    classes = len(measured.classes)
    cells = np.bincount(measured.actual * classes + measured.predicted(model), minlength=classes**2)
    counts: list[list[int]] = cells.reshape(classes, classes).tolist()
    return counts


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value
