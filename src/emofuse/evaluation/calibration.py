"""Whether probabilities mean what they say, and what is gained by leaving the unsure rows unanswered."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emofuse.training.calibration import calibration_error, confidence_bins

STEPS = 20  # of coverage
DRAWS = 200  # of which answers are right


def calibration(probabilities: NDArray[np.float64], actual: NDArray[np.intp]) -> dict[str, Any]:
    """Reliability by bins of confidence, and the expected calibration error over them, as JSON.

    Args:
        probabilities: shape (n, classes).
        actual: the class of each row, shape (n,).
    """
    confidence, right = _answers(probabilities, actual)
    bins = [
        {
            "from": float(confidence[rows].min()),
            "to": float(confidence[rows].max()),
            "rows": len(rows),
            "confidence": float(confidence[rows].mean()),
            "accuracy": float(right[rows].mean()),
        }
        for rows in confidence_bins(confidence)
    ]
    return {
        "expected_calibration_error": calibration_error(probabilities, actual),
        "calibration_error_by_chance": error_by_chance(confidence),
        "bins": bins,
    }


def error_by_chance(confidence: NDArray[np.float64]) -> float:
    """The expected calibration error that n answers show though each is right exactly as often as it says.

    It is not 0, since few rows in a bin are seldom right as often as expected: the error is biased upwards, and more so
    where rows are few (Kumar et al., NeurIPS 2019). The mean over `DRAWS` draws of which answers are right.

    Args:
        confidence: of each answer, shape (n,).
    """
    right = np.random.default_rng(0).random((DRAWS, len(confidence))) < confidence
    gaps = [np.abs((confidence[rows] - right[:, rows]).sum(axis=1)) for rows in confidence_bins(confidence)]
    return float(np.sum(gaps, axis=0).mean() / len(confidence))


def coverage(probabilities: NDArray[np.float64], actual: NDArray[np.intp]) -> list[dict[str, float]]:
    """Accuracy when only the most confident share of the rows is answered (El-Yaniv and Wiener, JMLR 2010), as JSON."""
    confidence, right = _answers(probabilities, actual)
    order = np.argsort(-confidence, kind="stable")
    so_far = right[order].cumsum() / np.arange(1, len(order) + 1)
    steps = []
    for step in range(1, STEPS + 1):
        answered = max(1, round(len(order) * step / STEPS))
        steps.append(
            {
                "coverage": answered / len(order),
                "accuracy": float(so_far[answered - 1]),
                "least_confidence": float(confidence[order[answered - 1]]),
            }
        )
    return steps


def _answers(
    probabilities: NDArray[np.float64], actual: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == actual
