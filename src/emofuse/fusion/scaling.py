"""Z-scores of a modality, and projections of its wide feature groups."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from emofuse.core.errors import DataError, listed
from emofuse.core.files import atomic_write
from emofuse.core.params import ScaleParams
from emofuse.core.records import FeatureTable
from emofuse.fusion.projection import Projection

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scaler:
    """What turns d features into what a model reads.

    Attributes:
        mean: float32 of shape (d,).
        std: float32 of shape (d,).
        clip: z-scores and components are held within this.
        projections: of groups of columns, which their components stand for, after the columns that are kept.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    clip: float
    projections: tuple[Projection, ...] = ()

    @property
    def width(self) -> int:
        """Numbers that a row is turned into: what a model reads."""
        return len(self.mean) - sum(projection.saved for projection in self.projections)

    @classmethod
    def fit(cls, table: FeatureTable, clip: float, projection: Iterable[tuple[str, int]] = ()) -> Scaler:
        """Fit on the present rows of `table`, which the caller takes from the training split alone.

        A feature that never varies, or is never known, gets mean 0 or its constant, and standard deviation 1. With no
        present row the modality is scaled to itself.

        Args:
            table: the rows.
            clip: bound of the z-scores.
            projection: groups and how many components each gets; its columns' names start with its name and `_`.
        """
        values = table.values[table.present].astype(np.float64)
        measured = ~np.isnan(values)
        count = np.maximum(measured.sum(axis=0), 1)
        mean = np.where(measured, values, 0).sum(axis=0) / count
        std = np.sqrt((np.where(measured, values - mean, 0) ** 2).sum(axis=0) / count)
        std[std < 1e-6 * np.maximum(1, np.abs(mean))] = 1
        scaler = cls(mean.astype(np.float32), std.astype(np.float32), clip)
        if len(values) < 2:  # nothing varies, so there are no components
            return scaler
        scores = scaler.transform(table)[table.present]
        return replace(scaler, projections=tuple(_projections(table.names, scores, projection)))

    def transform(self, table: FeatureTable) -> NDArray[np.float32]:
        """Z-scores and components, float32 of shape (n, width).

        An unknown feature is 0, the training mean, and an absent row all 0.

        Raises:
            DataError: the table has another number of features.
        """
        if table.values.shape[1] != len(self.mean):
            raise DataError(
                f"found {table.values.shape[1]} features, expected the {len(self.mean)} that the scaler was fitted on; "
                "run `dvc repro`"
            )
        scores: NDArray[np.float32] = table.values - self.mean
        scores /= self.std
        np.clip(scores, -self.clip, self.clip, out=scores)
        scores[np.isnan(scores)] = 0
        if self.projections:
            parts = [np.clip(one.transform(scores), -self.clip, self.clip) for one in self.projections]
            scores = np.concatenate([scores[:, self._kept], *parts], axis=1)
        scores[~table.present] = 0
        return scores

    @cached_property
    def _kept(self) -> NDArray[np.int64]:
        """Columns that no projection stands for."""
        return np.setdiff1d(np.arange(len(self.mean)), np.concatenate([one.columns for one in self.projections]))


def fit_scalers(manifest: pd.DataFrame, tables: Mapping[str, FeatureTable], params: ScaleParams) -> dict[str, Scaler]:
    """Fit a scaler a modality on the training rows.

    Args:
        manifest: every row of the data.
        tables: the features of these rows, of each modality.
        params: bound of the z-scores, and projections.

    Raises:
        DataError: no training row has text, sound or a face; each modality's commonest reason is given.
    """
    from emofuse.core.tables import training_rows  # with pandas, which what is served does without

    chosen = training_rows(manifest)
    own = {modality: table.select(chosen) for modality, table in tables.items()}
    sensed = [modality for modality in own if modality != "metadata"]
    if not any(own[modality].present.any() for modality in sensed):
        reasons = {modality: Counter(own[modality].reasons).most_common(1)[0] for modality in sensed}
        raise DataError(
            f"every one of {chosen.sum()} labelled training rows is without text, sound and face, "
            "expected at least one that has any; the commonest reasons:\n"
            + listed([f"{modality}: {reason} ({count} rows)" for modality, (reason, count) in reasons.items()])
        )
    return {name: Scaler.fit(table, params.clip, params.projection.items()) for name, table in own.items()}


def _projections(
    names: Sequence[str], scores: NDArray[np.float32], counts: Iterable[tuple[str, int]]
) -> Iterator[Projection]:
    for group, count in sorted(counts):
        columns = [index for index, name in enumerate(names) if name.startswith(f"{group}_")]
        if columns:
            yield Projection.fit(scores, columns, count)


def scaler_tensors(scalers: Mapping[str, Scaler]) -> dict[str, NDArray[Any]]:
    """Scalers as named arrays, for a safetensors file."""
    tensors = {}
    for modality, scaler in scalers.items():
        tensors[f"scaler.{modality}.mean"] = scaler.mean
        tensors[f"scaler.{modality}.std"] = scaler.std
        tensors[f"scaler.{modality}.clip"] = np.array([scaler.clip], dtype=np.float32)
        for index, projection in enumerate(scaler.projections):
            for field, values in vars(projection).items():
                # A view of a transposed matrix would be written in the wrong order.
                tensors[f"scaler.{modality}.projection.{index}.{field}"] = np.ascontiguousarray(values)
    return tensors


def scalers_from_tensors(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Scaler]:
    """The inverse of `scaler_tensors`; other names are passed over."""
    modalities = sorted({name.split(".")[1] for name in tensors if name.startswith("scaler.")})
    return {
        modality: Scaler(
            tensors[f"scaler.{modality}.mean"],
            tensors[f"scaler.{modality}.std"],
            float(tensors[f"scaler.{modality}.clip"][0]),
            tuple(_read_projections(tensors, f"scaler.{modality}.projection")),
        )
        for modality in modalities
    }


def _read_projections(tensors: Mapping[str, NDArray[Any]], prefix: str) -> Iterator[Projection]:
    for index in itertools.count():
        if f"{prefix}.{index}.columns" not in tensors:
            return
        yield Projection(**{field.name: tensors[f"{prefix}.{index}.{field.name}"] for field in fields(Projection)})


def save_scalers(path: Path, scalers: Mapping[str, Scaler]) -> None:
    """Write scalers as safetensors."""
    with atomic_write(path) as aside:
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
