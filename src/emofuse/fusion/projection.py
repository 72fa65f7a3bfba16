"""Projection of a wide feature group to its principal components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Projection:
    """What turns w of a modality's columns into k.

    Attributes:
        columns: their positions, int64 of shape (w,).
        middle: float32 of shape (w,), taken off before.
        components: float32 of shape (w, k); the results' mean variance over the training rows is 1.
    """

    columns: NDArray[np.int64]
    middle: NDArray[np.float32]
    components: NDArray[np.float32]

    @property
    def saved(self) -> int:
        """How many numbers fewer a row has after it."""
        width, count = self.components.shape
        return int(width - count)

    @classmethod
    def fit(cls, scores: NDArray[np.float32], columns: Sequence[int], count: int) -> Projection:
        """Principal components (scikit-learn) of some columns of training rows.

        Args:
            scores: z-scores of shape (n, d), n at least 2.
            columns: positions of the group's columns.
            count: components; no more are kept than there are rows or columns.
        """
        from sklearn.decomposition import PCA  # seconds to load, and no prediction needs it

        chosen = np.array(columns, dtype=np.int64)
        # The full solver has no chance in it, and scikit-learn fixes the signs of the components.
        pca = PCA(min(count, len(scores), len(chosen)), svd_solver="full").fit(scores[:, chosen].astype(np.float64))
        # One divisor for all: with one each, weak components would be as loud as strong ones, which costs accuracy.
        spread = float(np.sqrt(pca.explained_variance_.mean()))
        components = pca.components_.T / (spread if spread > 1e-6 else 1.0)
        return cls(chosen, pca.mean_.astype(np.float32), components.astype(np.float32))

    def transform(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Z-scores of shape (n, d) as float32 of shape (n, k)."""
        import torch  # which fitting does without

        from emofuse.core.linear import linear

        centred = torch.from_numpy(scores[:, self.columns] - self.middle)
        result: NDArray[np.float32] = linear(centred, torch.from_numpy(self.components).T.contiguous()).numpy()
        return result
