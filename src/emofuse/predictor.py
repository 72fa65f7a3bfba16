"""Utterances in, probabilities out: the one way of predicting, for the evaluate stage, the CLI and the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from emofuse.bundle import Bundle, load_bundle
from emofuse.calibration import heated
from emofuse.device import pick_device
from emofuse.features.base import Extractor
from emofuse.features.registry import make_extractor
from emofuse.fusion.context import Lines, manifest_lines, utterance_lines
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
    """The answer for one utterance; probabilities are in the order of the bundle's labels and sum to 1.

    It is uncertain where its best class is less probable than `train.abstain`.
    """

    label: str
    probabilities: dict[str, float]
    uncertain: bool
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
        tables = {modality: self._extract(modality, utterances) for modality in self.extractors}
        lines = None
        if self.bundle.reads_context:
            lines = utterance_lines(utterances, partial(self._extract, "text"), self.bundle.train.attention)
        probabilities, weights = self._answer(tables, lines)
        return [
            Prediction(
                label=self.bundle.labels[int(row.argmax())],
                probabilities=dict(zip(self.bundle.labels, row.tolist(), strict=True)),
                uncertain=bool(row.max() < self.bundle.train.abstain),
                modalities={
                    modality: ModalityUse(bool(table.present[index]), table.reasons[index], float(share))
                    for (modality, table), share in zip(tables.items(), weights[index], strict=True)
                },
                version=self.bundle.version,
            )
            for index, row in enumerate(probabilities)
        ]

    def probabilities(
        self, tables: Mapping[str, FeatureTable], manifest: pd.DataFrame | None = None, weighed: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Answer n rows of extracted features.

        Args:
            tables: the features of each modality.
            manifest: the same rows of the manifest, of whole dialogues, for models that read the lines around an
                utterance; without it every row is answered alone.
            weighed: whether the modality weights are wanted, which cost several times the answer.

        Returns:
            Probabilities of shape (n, classes), calibrated, and modality weights of shape (n, modalities): both are
            means over the members; where weights aren't wanted they have no columns.
        """
        lines = None
        if manifest is not None and self.bundle.reads_context:
            lines = manifest_lines(manifest, tables["text"], self.bundle.train.attention)
        return self._answer(tables, lines, weighed)

    def _extract(self, modality: str, utterances: Sequence[Utterance]) -> FeatureTable:
        extractor = self.extractors[modality]
        return FeatureTable.stack(extractor.names, list(extractor.extract(utterances)))

    @torch.inference_mode()
    def _answer(
        self, tables: Mapping[str, FeatureTable], lines: Lines | None, weighed: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        batch = make_batch(tables, self.bundle.scalers, tuple(self.bundle.features), lines)
        shares = torch.tensor(self.bundle.shares, dtype=torch.float64)[:, None, None]
        answers = torch.stack([member(batch).double().softmax(dim=1) for member in self.bundle.members])
        calibrated = heated((shares * answers).sum(dim=0).numpy(), self.bundle.temperature)
        if not weighed:
            return calibrated, np.zeros((len(calibrated), 0))
        weights = torch.stack([member.modality_weights(batch).double() for member in self.bundle.members])
        return calibrated, (shares * weights).sum(dim=0).numpy()
