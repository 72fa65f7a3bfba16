"""When each token was said, from where the decoder looked while it wrote it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

SMOOTHING = 7  # positions of the median over time, as in Whisper


def alignment_costs(attention: NDArray[np.float32]) -> NDArray[np.float64]:
    """How badly each position fits each token, as in Whisper's own word times.

    Args:
        attention: of h heads that follow the sound, from t tokens to s positions, shape (h, t, s).

    Returns:
        Shape (t, s).
    """
    mean, deviation = attention.mean(axis=1, keepdims=True), attention.std(axis=1, keepdims=True)
    smooth = median_filter((attention - mean) / np.maximum(deviation, 1e-8), size=(1, 1, SMOOTHING), mode="reflect")
    costs: NDArray[np.float64] = -smooth.mean(axis=0, dtype=np.float64)
    return costs


def token_starts(costs: NDArray[np.float64]) -> NDArray[np.intp]:
    """First position of each of t tokens, where every position belongs to one and their order is kept, at least cost.

    Args:
        costs: shape (t, s); where there are more tokens than positions, they are spread evenly.
    """
    tokens, positions = costs.shape
    if tokens > positions:
        return np.linspace(0, positions, tokens, endpoint=False).astype(np.intp)
    # Sum of the costs of the tokens before, up to before each position: the first token starts at the first.
    before = np.full(positions + 1, np.inf)
    before[0] = 0
    choices = np.zeros((tokens, positions + 1), np.intp)
    for token in range(tokens):
        sums = np.concatenate([[0], np.cumsum(costs[token])])
        gains = before[:-1] - sums[:-1]
        least = np.minimum.accumulate(gains)
        first = np.maximum.accumulate(np.where(gains == least, np.arange(positions), 0))
        choices[token, 1:] = first
        before = np.concatenate([[np.inf], least + sums[1:]])
    starts = np.zeros(tokens, np.intp)
    end = positions
    for token in reversed(range(tokens)):
        starts[token] = end = choices[token, end]
    return starts
