"""Utterances in, probabilities out: the one way of predicting, for the evaluate stage, the CLI and the service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emofuse.core.device import pick_device
from emofuse.core.records import Extracted, FeatureTable, Utterance
from emofuse.features.contract import Extractor
from emofuse.features.registry import make_extractor
from emofuse.fusion.base import Batch, joined
from emofuse.fusion.context import Lines, manifest_lines, utterance_lines
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.members import member_answer, member_weights
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.bundle import load_bundle
from emofuse.inference.prediction import NOTHING, ModalityUse, Prediction
from emofuse.training.calibration import apply_temperature, log_pool

if TYPE_CHECKING:
    import pandas as pd  # which what is served does without


class Predictor:
    """A loaded bundle with its extractors."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._extractors: dict[str, Extractor] = {}

    @classmethod
    def load(cls, folder: Path) -> Predictor:
        """Load a bundle.

        Raises:
            BundleError: the bundle is incomplete or altered.
        """
        return cls(load_bundle(folder))

    def extractor(self, modality: str) -> Extractor:
        """The extractor of a modality, loaded at first use."""
        if modality not in self._extractors:
            self._extractors[modality] = make_extractor(
                self.bundle.extractors[modality], pick_device(), self.bundle.finetuned, self.bundle.assets
            )
        return self._extractors[modality]

    def warm_up(self, modalities: Iterable[str] | None = None) -> None:
        """Load extractors and compile what compiles at first use: the first request is as fast as others.

        Args:
            modalities: those that are extracted here; all unless given.
        """
        for modality in self.bundle.extractors if modalities is None else modalities:
            self.extractor(modality).warm_up()
        self.answer({m: FeatureTable.stack(names, [Extracted(None)]) for m, names in self.bundle.features.items()})

    def predict(self, utterances: Sequence[Utterance]) -> list[Prediction]:
        """Extract and answer n utterances, in order."""
        return self.answer(self.extract(utterances, [{} for _ in utterances]), self.lines(utterances))

    def extract(
        self, utterances: Sequence[Utterance], precomputed: Sequence[Mapping[str, Extracted]]
    ) -> dict[str, FeatureTable]:
        """Extract n utterances.

        Args:
            utterances: n utterances.
            precomputed: of each utterance the modalities that were extracted elsewhere.
        """
        tables = {}
        for modality, names in self.bundle.features.items():
            missing = [u for u, rows in zip(utterances, precomputed, strict=True) if modality not in rows]
            fresh = iter(self.extractor(modality).extract(missing) if missing else ())
            rows = [rows[modality] if modality in rows else next(fresh) for rows in precomputed]
            tables[modality] = FeatureTable.stack(names, rows)
        return tables

    def lines(self, utterances: Sequence[Utterance]) -> Lines | None:
        """The lines said before n utterances, extracted; None where the model doesn't read them."""
        if not self.bundle.reads_context:
            return None
        return utterance_lines(utterances, self._read_text, self.bundle.train.attention)

    def answer(self, tables: Mapping[str, FeatureTable], lines: Lines | None = None) -> list[Prediction]:
        """Answer n utterances whose features, and the lines before them, are extracted.

        An answer is uncertain where its best class is less probable than `train.abstain`, or no modality is present.
        """
        labels = self.bundle.labels
        batch = self._batch(tables, lines)
        probabilities, weights = self._answer(batch)
        unfamiliar = self.unfamiliar(batch)
        measured = () if self.bundle.familiarity is None else self.bundle.familiarity.moments
        each = self._from_each(batch)
        predictions = []
        for index, row in enumerate(probabilities):
            uses = {
                modality: ModalityUse(
                    present=bool(table.present[index]),
                    reason=table.reasons[index],
                    weight=float(weights[index, number]),
                    unfamiliar=bool(unfamiliar[index, number]) if modality in measured else None,
                    probabilities=dict(zip(labels, each[index, number].tolist(), strict=True))
                    if table.present[index]
                    else None,
                )
                for number, (modality, table) in enumerate(tables.items())
            }
            nothing = not any(use.present for use in uses.values())
            predictions.append(
                Prediction(
                    label=labels[int(row.argmax())],
                    probabilities=dict(zip(labels, row.tolist(), strict=True)),
                    uncertain=nothing or bool(row.max() < self.bundle.train.abstain),
                    unfamiliar=None if self.bundle.familiarity is None else bool(unfamiliar[index].any()),
                    note=NOTHING if nothing else "",
                    modalities=uses,
                    trained_on=self.bundle.learnt_from.sentence,
                    synthetic=self.bundle.learnt_from.synthetic,
                    version=self.bundle.version,
                )
            )
        return predictions

    def probabilities(
        self, tables: Mapping[str, FeatureTable], manifest: pd.DataFrame | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Answer n rows of extracted features; `manifest` as in `batch`.

        Returns:
            Probabilities of shape (n, classes), pooled over the members and calibrated, and modality weights of shape
            (n, modalities), means over the members.
        """
        return self._answer(self.batch(tables, manifest))

    def batch(self, tables: Mapping[str, FeatureTable], manifest: pd.DataFrame | None = None) -> Batch:
        """What the members read of n rows.

        Args:
            tables: the features of each modality.
            manifest: the same rows of the manifest, of whole dialogues, for models that read the lines around an
                utterance; without it every row is answered alone.
        """
        lines = None
        if manifest is not None and self.bundle.reads_context:
            lines = manifest_lines(manifest, tables["text"], self.bundle.train.attention)
        return self._batch(tables, lines)

    def unfamiliar(self, batch: Batch) -> NDArray[np.bool_]:
        """Which modalities of n rows are unlike what was trained on, shape (n, modalities); none if it can't tell."""
        familiarity = self.bundle.familiarity
        return np.zeros(batch.mask.shape, dtype=bool) if familiarity is None else familiarity.beyond(batch)

    def _read_text(self, utterances: Sequence[Utterance]) -> FeatureTable:
        return FeatureTable.stack(self.bundle.features["text"], list(self.extractor("text").extract(utterances)))

    def _batch(self, tables: Mapping[str, FeatureTable], lines: Lines | None = None) -> Batch:
        return make_batch(tables, self.bundle.scalers, tuple(self.bundle.features), lines)

    def _answer(self, batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._mean(batch), self.weighted([member_weights(member, batch) for member in self.bundle.members])

    def _from_each(self, batch: Batch) -> NDArray[np.float64]:
        """What n rows get from each modality alone, the others and the lines before hidden.

        Returns:
            Probabilities of shape (n, modalities, classes), pooled over the members and calibrated; 0 of a modality
            that no row has.
        """
        probabilities = np.zeros((*batch.mask.shape, len(self.bundle.labels)))
        has = batch.mask.any(dim=0).nonzero().flatten().tolist()  # many a request is a text alone
        if has:
            answers = self._mean(joined([batch.alone(number) for number in has]))  # all at once: few calls
            probabilities[:, has] = answers.reshape(len(has), len(batch.mask), -1).swapaxes(0, 1)
        return probabilities

    def _mean(self, batch: Batch) -> NDArray[np.float64]:
        return self.mixed([member_answer(member, batch) for member in self.bundle.members])

    def mixed(self, answers: Sequence[Tensor]) -> NDArray[np.float64]:
        """The pool of what each member answers, by `member_answer`, calibrated."""
        pool = log_pool(torch.stack(list(answers)).numpy(), self.bundle.shares)
        return apply_temperature(pool, self.bundle.temperature)

    def weighted(self, weights: Sequence[Tensor]) -> NDArray[np.float64]:
        """The mean of what the members give, each by its share."""
        shares = torch.tensor(self.bundle.shares, dtype=torch.float64)[:, None, None]
        mean: NDArray[np.float64] = (shares * torch.stack(list(weights)).double()).sum(dim=0).numpy()
        return mean
