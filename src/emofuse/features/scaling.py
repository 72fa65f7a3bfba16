"""Z-scores of a modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from emofuse.errors import DataError
from emofuse.schema import FeatureTable, written_aside


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation of each of d features, and the bound that z-scores are held within."""

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    clip: float

    @property
    def width(self) -> int:
        """Numbers that a row is turned into: what a model reads."""
        return len(self.mean)

    @classmethod
    def fit(cls, table: FeatureTable, clip: float) -> Scaler:
        """Fit on the present rows of `table`, which the caller takes from the training split alone.

        A feature that never varies, or is never known, gets mean 0 or its constant, and standard deviation 1. With no
        present row the modality is scaled to itself.
        """
        values = table.values[table.present].astype(np.float64)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, values, 0).sum(axis=0) / count
        std = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(axis=0) / count)
        std[std < 1e-6 * np.maximum(1, np.abs(mean))] = 1
        return cls(mean.astype(np.float32), std.astype(np.float32), clip)

    def transform(self, table: FeatureTable) -> NDArray[np.float32]:
        """Z-scores, float32 of shape (n, d): an unknown feature is 0, the training mean, and an absent row all 0.

        Raises:
            DataError: the table has another number of features.
        """
        if table.values.shape[1] != len(self.mean):
            raise DataError(
                f"found {table.values.shape[1]} features, expected the {len(self.mean)} that the scaler was fitted on; "
                "run `dvc repro`"
            )
        scores: NDArray[np.float32] = np.clip((table.values - self.mean) / self.std, -self.clip, self.clip)
        scores[~table.present] = 0
        return np.nan_to_num(scores, copy=False, nan=0.0)


def scaler_tensors(scalers: Mapping[str, Scaler]) -> dict[str, NDArray[np.float32]]:
    """Scalers as named arrays, for a safetensors file."""
    tensors = {}
    for modality, scaler in scalers.items():
        tensors[f"scaler.{modality}.mean"] = scaler.mean
        tensors[f"scaler.{modality}.std"] = scaler.std
        tensors[f"scaler.{modality}.clip"] = np.array([scaler.clip], dtype=np.float32)
    return tensors


def scalers_from_tensors(tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, Scaler]:
    """The inverse of `scaler_tensors`; other names are passed over."""
    modalities = sorted({name.split(".")[1] for name in tensors if name.startswith("scaler.")})
    return {
        modality: Scaler(
            tensors[f"scaler.{modality}.mean"],
            tensors[f"scaler.{modality}.std"],
            float(tensors[f"scaler.{modality}.clip"][0]),
        )
        for modality in modalities
    }


def save_scalers(path: Path, scalers: Mapping[str, Scaler]) -> None:
    """Write scalers as safetensors."""
    with written_aside(path) as aside:
        save_file(scaler_tensors(scalers), aside)


def load_scalers(path: Path) -> dict[str, Scaler]:
    """Read scalers.

    Raises:
        DataError: the file is missing or unreadable.
    """
    try:
        return scalers_from_tensors(load_file(path))
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(f"{path}: can't be read as scalers: {error}; run `dvc repro`") from None
