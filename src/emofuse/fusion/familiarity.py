"""How far an input is from what a model was trained on, a modality at a time.

The distance is Mahalanobis's (as Lee et al., NeurIPS 2018, arXiv 1807.03888, use it on features), under the covariance
of a factor analysis: a few principal components, and for each feature a variance of what they leave (after Tipping and
Bishop, 1999). So thousands of features can be measured by a few hundred rows, and a bundle holds moments and no row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from emofuse.core.linear import linear
from emofuse.fusion.base import Batch

COMPONENTS = 16  # of 8 to 100, what tells real voices and sentences from the built-in ones best
FIT_ROWS = 1000  # that moments are fitted on: more cost time and change little
LEAST_VARIANCE = 1e-3  # of what the components leave of a feature, whose z-scores vary by 1
ALARMS = 0.03  # share of held-out rows that thresholds let be marked, which leaves other rows room up to 5%


@dataclass(frozen=True)
class Moments:
    """What is kept of the rows of a modality, d wide as the model reads them.

    Attributes:
        mean: float32 of shape (d,).
        components: of the scatter around it, orthonormal, float32 of shape (d, k).
        variance: along each of them, float32 of shape (k,).
        noise: variance of what they leave of each feature, float32 of shape (d,).
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    variance: NDArray[np.float32]
    noise: NDArray[np.float32]

    @classmethod
    def fit(cls, rows: NDArray[np.float32]) -> Moments:
        """Fit on rows of shape (n, d), n at least 2; of many, on `FIT_ROWS` that lie evenly among them."""
        chosen = np.linspace(0, len(rows) - 1, min(len(rows), FIT_ROWS)).astype(np.intp)
        values = rows[chosen].astype(np.float64)
        mean = values.mean(axis=0)
        values -= mean
        components = np.linalg.svd(values, full_matrices=False)[2][: min(COMPONENTS, len(values) - 1)].T
        scores = values @ components
        noise = ((values - scores @ components.T) ** 2).mean(axis=0)
        parts = (mean, components, (scores**2).mean(axis=0).clip(LEAST_VARIANCE), noise.clip(LEAST_VARIANCE))
        return cls(*(np.ascontiguousarray(part, np.float32) for part in parts))

    def distance(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """The squared distance of n rows of shape (n, d) over the number of its terms, shape (n,); about 1 at home."""
        centred, components = torch.from_numpy(rows - self.mean), torch.from_numpy(self.components)
        scores = linear(centred, components.T.contiguous())
        rest = (centred - linear(scores, components)).numpy().astype(np.float64)
        terms = np.concatenate([scores.numpy().astype(np.float64) ** 2 / self.variance, rest**2 / self.noise], axis=1)
        mean: NDArray[np.float64] = terms.mean(axis=1)
        return mean


@dataclass(frozen=True)
class Familiarity:
    """What tells whether an input is unlike all that a model was trained on.

    Attributes:
        moments: of the training rows, of each modality that enough of them have.
        thresholds: the distance beyond which a modality is unfamiliar.
        false_alarms: share of the held-out training rows of which any modality is beyond.
    """

    moments: Mapping[str, Moments]
    thresholds: Mapping[str, float]
    false_alarms: float

    @classmethod
    def fit(cls, moments: Mapping[str, Moments], held_out: Mapping[str, NDArray[np.float64]]) -> Familiarity:
        """Set the thresholds so that of n held-out rows a share of at most `ALARMS` is marked.

        The same share of the rows of each modality is beyond its threshold.

        Args:
            moments: of each modality.
            held_out: the distance of each row by moments that never met it, shape (n,); NaN where it is absent.
        """
        ranks = np.stack([_ranks(distances) for distances in held_out.values()])
        first = np.nanmin(np.where(np.isnan(ranks), 1.0, ranks), axis=0)
        levels = [0.0, *np.unique(first)]
        level = max(each for each in levels if (first <= each).mean() <= ALARMS)
        thresholds = {name: _threshold(distances, level) for name, distances in held_out.items()}
        beyond = [held_out[name] > thresholds[name] for name in held_out]
        return cls(moments, thresholds, float(np.any(beyond, axis=0).mean()))

    def beyond(self, batch: Batch) -> NDArray[np.bool_]:
        """Which modalities of n rows are unfamiliar, shape (n, modalities) as the mask; none that is absent."""
        result = np.zeros(batch.mask.shape, dtype=bool)
        for number, (name, values) in enumerate(batch.inputs.items()):
            there = batch.mask[:, number]
            if name in self.moments and there.any():
                result[there.numpy(), number] = (
                    self.moments[name].distance(values[there].numpy()) > self.thresholds[name]
                )
        return result


def _ranks(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the rows that are at least as far, shape (n,); NaN where absent."""
    there = ~np.isnan(distances)
    ranks = np.full(len(distances), np.nan)
    rising = np.sort(distances[there])
    ranks[there] = 1 - np.searchsorted(rising, distances[there]) / len(rising)
    return ranks


def _threshold(distances: NDArray[np.float64], level: float) -> float:
    """What a share of at most `level` of the rows is beyond."""
    falling = np.sort(distances[~np.isnan(distances)])[::-1]
    return float(falling[min(int(level * len(falling) + 1e-9), len(falling) - 1)])


def familiarity_tensors(familiarity: Familiarity) -> dict[str, NDArray[Any]]:
    """The moments as named arrays, for a safetensors file."""
    return {
        f"moments.{modality}.{field}": values
        for modality, moments in familiarity.moments.items()
        for field, values in vars(moments).items()
    }


def moments_from_tensors(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Moments]:
    """The inverse of `familiarity_tensors`; other names are passed over."""
    return {
        modality: Moments(**{field.name: tensors[f"moments.{modality}.{field.name}"] for field in fields(Moments)})
        for modality in _modalities(tensors)
    }


def _modalities(tensors: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    yield from sorted({name.split(".")[1] for name in tensors if name.startswith("moments.")})
