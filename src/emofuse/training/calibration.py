"""How far probabilities are to be believed: temperature, shares of a pool, and the error that is left.

All are fitted on held-out folds of the training split: dev chooses the champion and stays clean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

BINS = 10
LEAST = 1e-12  # a probability, where its logarithm is taken


def apply_temperature(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Probabilities of shape (n, classes) made less sure (temperature above 1) or surer; their order stays."""
    result: NDArray[np.float64] = softmax(np.log(np.maximum(probabilities, LEAST)) / temperature, axis=1)
    return result


def log_loss(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The mean negative log likelihood of the n actual classes."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(targets)), targets], LEAST)).mean())


def fit_temperature(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The temperature, between 1/4 and 4, of the least log loss (Guo et al., ICML 2017)."""
    from scipy.optimize import minimize_scalar  # slow to load, and only training fits

    fitted = minimize_scalar(
        lambda power: log_loss(apply_temperature(probabilities, float(2**power)), targets),
        bounds=(-2, 2),
        method="bounded",
    )
    return round(float(2**fitted.x), 4)


def log_pool(probabilities: NDArray[np.float64], shares: Sequence[float]) -> NDArray[np.float64]:
    """The logarithmic opinion pool of k answers: their weighted geometric mean, which sums to 1 again.

    Unlike the arithmetic mean, it is about as sure as the answers that go into it, so that a temperature which was
    fitted on single members holds for the mean of all (Heskes, NeurIPS 1998).

    Args:
        probabilities: shape (k, n, classes).
        shares: of each answer, summing to 1.

    Returns:
        Shape (n, classes).
    """
    logits = np.tensordot(np.asarray(shares, np.float64), np.log(np.maximum(probabilities, LEAST)), axes=1)
    result: NDArray[np.float64] = softmax(logits, axis=1)
    return result


def fit_shares(probabilities: NDArray[np.float64], targets: NDArray[np.int64]) -> tuple[float, ...]:
    """The shares of k models in the pool that has the least log loss at its best temperature.

    They are at least 0 and sum to 1. Unnormalised, they are the weights of a logistic regression on log probabilities,
    whose loss is convex; their sum is the inverse of the temperature.

    Args:
        probabilities: shape (k, n, classes).
        targets: the actual class of each row, shape (n,).
    """
    from scipy.optimize import minimize

    logs = np.log(np.maximum(probabilities, LEAST))
    actual = logs[:, np.arange(len(targets)), targets]

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """The mean log loss of these weights, and its gradient."""
        logits = np.tensordot(weights, logs, axes=1)
        expected = (softmax(logits, axis=1) * logs).sum(axis=2).mean(axis=1)
        return float((logsumexp(logits, axis=1) - weights @ actual).mean()), expected - actual.mean(axis=1)

    count = len(logs)
    fitted = minimize(loss, np.full(count, 1 / count), jac=True, method="L-BFGS-B", bounds=[(0, None)] * count).x
    weights = fitted if fitted.sum() > 0 else np.ones(count)  # nothing beats the uniform answer
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
