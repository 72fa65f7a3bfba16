"""How far probabilities are to be believed: temperature, weights of a mixture, and the error that is left.

All are fitted on held-out folds of the training split: dev chooses the champion and stays clean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

BINS = 10
LEAST = 1e-12  # a probability, where its logarithm is taken


def heated(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities of shape (n, classes) made less sure (temperature above 1) or surer; their order stays."""
    logits = np.log(np.maximum(probabilities, LEAST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def log_loss(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The mean negative log likelihood of the n actual classes."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(targets)), targets], LEAST)).mean())


def fit_temperature(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The temperature, between 1/4 and 4, of the least log loss (Guo et al., ICML 2017)."""
    found = minimize_scalar(
        lambda power: log_loss(heated(probabilities, float(2**power)), targets), bounds=(-2, 2), method="bounded"
    )
    return round(float(2**found.x), 4)


def fit_mixture(probabilities: Sequence[NDArray[np.float64]], targets: NDArray[np.int64]) -> tuple[float, ...]:
    """The weights of the mean of k models' probabilities, each (n, classes), with the least log loss.

    They are at least 0 and sum to 1. By expectation maximisation for the weights of a mixture, where the loss is convex
    and falls with every step (Dempster, Laird and Rubin, 1977).
    """
    likelihood = np.stack([p[np.arange(len(targets)), targets] for p in probabilities], axis=1).clip(min=LEAST)
    weights = np.full(likelihood.shape[1], 1 / likelihood.shape[1])
    for _ in range(1000):
        owed = weights * likelihood
        weights = (owed / owed.sum(axis=1, keepdims=True)).mean(axis=0)
    return tuple(round(float(weight), 6) for weight in weights / weights.sum())


def confidence_bins(confidence: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """The n rows in up to `BINS` bins of equally many, the least confident first.

    So no bin is all noise (adaptive bins: Nixon et al., Measuring Calibration in Deep Learning, CVPR Workshops 2019).
    Rows of one confidence share a bin.
    """
    order = np.argsort(confidence, kind="stable")
    rising = confidence[order]
    starts = [part[0] for part in np.array_split(np.arange(len(order)), BINS) if len(part)]
    return np.split(order, np.unique(np.searchsorted(rising, rising[starts]))[1:])


def calibration_error(probabilities: NDArray[np.float64], targets: NDArray[np.integer]) -> float:
    """Expected calibration error (Guo et al., ICML 2017): how far confidence and accuracy lie apart.

    The mean over the bins of `confidence_bins`, by their rows, of | mean confidence - accuracy |; 0 to 1.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == targets
    gaps = [len(rows) * abs(confidence[rows].mean() - right[rows].mean()) for rows in confidence_bins(confidence)]
    return float(sum(gaps) / len(targets))
