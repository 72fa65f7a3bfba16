"""The labelled rows of the training split, as a model reads them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch.utils._pytree import tree_leaves

from emofuse.core.params import Params, TrainParams, as_extracted
from emofuse.core.records import FeatureTable
from emofuse.core.tables import label_order, training_rows
from emofuse.fusion.base import Fusion
from emofuse.fusion.context import manifest_lines
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.names import model_modalities
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import Scaler
from emofuse.fusion.trained_model import Bundle
from emofuse.training.folds import Origins
from emofuse.training.loop import MemberJob, Rows, jobs


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
    labels: Sequence[str]
    keys: pd.DataFrame
    features: Mapping[str, tuple[str, ...]]
    scalers: Mapping[str, Scaler]
    rows: Rows

    @property
    def origins(self) -> Origins:
        """Where each row comes from."""
        return Origins.of(self.keys)

    def fresh(self, params: TrainParams) -> Fusion:
        """The model with fresh weights."""
        return self._make(params)()

    def jobs(self, params: TrainParams, seed: int) -> Iterator[MemberJob]:
        """What is trained of the model, a member a job."""
        return jobs(self._make(params), self.rows, self.origins, params, seed)

    def bundle(
        self, members: list[Fusion], params: Params, temperature: float = 1.0, finetuned: Path | None = None
    ) -> Bundle:
        """The members with all that a prediction needs beside them.

        Args:
            members: trained on these rows, or fresh.
            params: that they were trained with, and the features were extracted with.
            temperature: of their pool.
            finetuned: the folder of the finetuned encoders whose columns the text features hold.
        """
        return Bundle(
            name=self.name,
            labels=tuple(self.labels),
            features=self.features,
            extractors={m: as_extracted(params.extractor(m), names) for m, names in self.features.items()},
            scalers=self.scalers,
            train=params.train,
            seed=params.seed,
            members=members,
            temperature=temperature,
            finetuned=finetuned if "text" in self.features else None,
        )

    def digest(self) -> str:
        """Names what is trained on: equal rows have equal digests."""
        origins = self.origins
        named = [self.name, *self.labels, *origins.dialogues, *origins.groups, *origins.speakers]
        digest = hashlib.sha256("\n".join(named).encode())
        for values in tree_leaves(self.rows.to_arrays()):
            if values is not None:
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def _make(self, params: TrainParams) -> partial[Fusion]:
        widths = {modality: scaler.width for modality, scaler in self.scalers.items()}
        return partial(make_model, self.name, widths, len(self.labels), params)


def training_set(
    name: str,
    manifest: pd.DataFrame,
    tables: Mapping[str, FeatureTable],
    scalers: Mapping[str, Scaler],
    params: TrainParams,
) -> TrainingSet:
    """What a model is trained on.

    A modality that no row has can't be learnt from: fusion goes without it, its own baseline answers the prior.

    Args:
        name: of the model.
        manifest: every row of the data.
        tables: the features of these rows, of each modality.
        scalers: of each modality.
        params: whose `attention` says how far around an utterance that model looks.
    """
    labels, chosen = label_order(manifest), training_rows(manifest)
    own = {modality: tables[modality].select(chosen) for modality in model_modalities(name)}
    modalities = [modality for modality in own if own[modality].present.any()] or list(own)
    lines = None
    if name == "attention" and "text" in modalities:
        lines = manifest_lines(manifest, tables["text"], params.attention).select(chosen)
    targets: NDArray[np.int64] = np.array([labels.index(label) for label in manifest["label"][chosen]])
    return TrainingSet(
        name=name,
        labels=labels,
        keys=manifest[chosen],
        features={modality: own[modality].names for modality in modalities},
        scalers={modality: scalers[modality] for modality in modalities},
        rows=Rows(make_batch(own, scalers, modalities, lines), torch.from_numpy(targets)),
    )
