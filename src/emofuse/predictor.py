"""Utterances in, probabilities out: the one way of predicting, for the evaluate stage, the CLI and the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from emofuse.bundle import Bundle, load_bundle
from emofuse.device import pick_device
from emofuse.features.base import Extractor
from emofuse.features.registry import make_extractor
from emofuse.fusion.inputs import make_batch
from emofuse.schema import FeatureTable, Utterance


@dataclass(frozen=True)
class ModalityUse:
    """What a modality did for one answer: whether it was there, why not, and its share of the answer (0 to 1)."""

    present: bool
    reason: str
    weight: float


@dataclass(frozen=True)
class Prediction:
    """The answer for one utterance; probabilities are in the order of the bundle's labels and sum to 1."""

    label: str
    probabilities: dict[str, float]
    modalities: dict[str, ModalityUse]
    version: str


class Predictor:
    """A loaded bundle with its extractors."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Load a bundle.

        Raises:
            BundleError: the bundle is incomplete or altered.
        """
        return cls(load_bundle(folder))

    @cached_property
    def extractors(self) -> dict[str, Extractor]:
        """The extractor of each modality, loaded at first use."""
        return {modality: make_extractor(params, pick_device()) for modality, params in self.bundle.extractors.items()}

    def warm_up(self) -> None:
        """Load every extractor and compile what compiles at first use: the first request is as fast as others."""
        for extractor in self.extractors.values():
            extractor.warm_up()
        self.predict([Utterance()])

    def predict(self, utterances: Sequence[Utterance]) -> list[Prediction]:
        """Extract and answer n utterances, in order."""
        tables = {
            modality: FeatureTable.stack(extractor.names, list(extractor.extract(utterances)))
            for modality, extractor in self.extractors.items()
        }
        probabilities, weights = self.probabilities(tables)
        return [
            Prediction(
                label=self.bundle.labels[int(row.argmax())],
                probabilities=dict(zip(self.bundle.labels, row.tolist(), strict=True)),
                modalities={
                    modality: ModalityUse(bool(table.present[index]), table.reasons[index], float(share))
                    for (modality, table), share in zip(tables.items(), weights[index], strict=True)
                },
                version=self.bundle.version,
            )
            for index, row in enumerate(probabilities)
        ]

    @torch.inference_mode()
    def probabilities(
        self, tables: Mapping[str, FeatureTable], weighed: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Answer n rows of extracted features.

        Args:
            tables: the features of each modality.
            weighed: whether the modality weights are wanted, which cost several times the answer.

        Returns:
            Probabilities of shape (n, classes) and modality weights of shape (n, modalities), means over the members;
            where weights aren't wanted they have no columns.
        """
        batch = make_batch(tables, self.bundle.scalers, tuple(self.bundle.features))
        answers = torch.stack([member(batch).double().softmax(dim=1) for member in self.bundle.members])
        if not weighed:
            return answers.mean(dim=0).numpy(), np.zeros((len(batch.mask), 0))
        weights = torch.stack([member.modality_weights(batch).double() for member in self.bundle.members])
        return answers.mean(dim=0).numpy(), weights.mean(dim=0).numpy()
