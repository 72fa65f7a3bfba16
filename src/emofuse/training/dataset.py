"""The rows that a model is trained on, read from what earlier stages wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from emofuse.core.params import TrainParams
from emofuse.core.paths import SCALERS_FILE
from emofuse.core.records import FeatureTable
from emofuse.core.tables import label_order, read_features, read_manifest
from emofuse.fusion.context import manifest_lines
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.names import model_modalities
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import Scaler, load_scalers
from emofuse.training.loop import Job, Rows, jobs


@dataclass(frozen=True)
class TrainingSet:
    """The n labelled rows of the training split, as one model reads them.

    Attributes:
        name: of the model.
        labels: the classes.
        keys: the rows of the manifest.
        features: the feature names of each modality that the model reads.
        scalers: of each of these.
        rows: what is trained on.
    """

    name: str
    labels: list[str]
    keys: pd.DataFrame
    features: Mapping[str, tuple[str, ...]]
    scalers: Mapping[str, Scaler]
    rows: Rows

    @property
    def targets(self) -> NDArray[np.int64]:
        """The class of each row, shape (n,)."""
        found: NDArray[np.int64] = self.rows.targets.numpy()
        return found

    @property
    def dialogues(self) -> list[str]:
        """The dialogue of each row."""
        found: list[str] = self.keys["dialogue"].tolist()
        return found

    def jobs(self, params: TrainParams, seed: int) -> Iterator[Job]:
        """What is trained of the model, a member a job."""
        widths = {modality: scaler.width for modality, scaler in self.scalers.items()}
        make = partial(make_model, self.name, widths, len(self.labels), params)
        return jobs(make, self.rows, self.dialogues, params, seed)


def read_training_set(name: str, params: TrainParams) -> TrainingSet:
    """Read what a model is trained on.

    A modality that no row has can't be learnt from: fusion goes without it, its own baseline answers the prior.

    Raises:
        DataError: a stage's out is missing or unreadable.
    """
    manifest = read_manifest()
    labels, scalers = label_order(manifest), load_scalers(SCALERS_FILE)
    chosen = ((manifest["split"] == "train") & manifest["label"].notna()).to_numpy()
    found = {modality: read_features(modality, manifest) for modality in model_modalities(name)}
    tables: dict[str, FeatureTable] = {modality: table.select(chosen) for modality, table in found.items()}
    modalities = [modality for modality in tables if tables[modality].present.any()] or list(tables)
    lines = None
    if name == "attention" and "text" in modalities:
        lines = manifest_lines(manifest, found["text"], params.attention).select(chosen)
    targets = np.array([labels.index(label) for label in manifest["label"][chosen]])
    return TrainingSet(
        name=name,
        labels=labels,
        keys=manifest[chosen],
        features={modality: tables[modality].names for modality in modalities},
        scalers={modality: scalers[modality] for modality in modalities},
        rows=Rows(make_batch(tables, scalers, modalities, lines), torch.from_numpy(targets)),
    )
