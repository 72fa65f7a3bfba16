"""A model that is asked again and again, about rows whose features are hidden or shuffled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from emofuse.core.records import FeatureTable
from emofuse.fusion.base import Batch, Context, Fusion
from emofuse.fusion.context import manifest_lines
from emofuse.fusion.members import member_answer, member_weights
from emofuse.fusion.scaling import scaler_tensors
from emofuse.inference.predictor import Predictor

HIDDEN = "hidden for the evaluation"
Tables = Mapping[str, FeatureTable]


@dataclass(frozen=True)
class Hidden:
    """Some modalities are absent from every row; with none of them nothing is changed."""

    modalities: tuple[str, ...] = ()

    def of(self, tables: Tables) -> Tables:
        """The features after the change."""
        gone = {
            name: replace(
                tables[name],
                values=np.zeros_like(tables[name].values),
                present=np.zeros_like(tables[name].present),
                reasons=(HIDDEN,) * len(tables[name].reasons),
            )
            for name in self.modalities
            if name in tables
        }
        return {**tables, **gone}


@dataclass(frozen=True)
class Shuffled:
    """A modality, or some of its columns, is dealt anew among the rows that have it.

    Presence stays where it is: what is measured is what a value tells, not that there is one.
    """

    modality: str
    columns: tuple[int, ...] | None
    seed: tuple[int, ...]

    def of(self, tables: Tables) -> Tables:
        """The features after the change."""
        table = tables[self.modality]
        present = table.present.nonzero()[0]
        dealt = np.random.default_rng(self.seed).permutation(present)
        values = table.values.copy()
        if self.columns is None:
            values[present] = table.values[dealt]
        else:
            columns = np.array(self.columns)
            values[np.ix_(present, columns)] = table.values[np.ix_(dealt, columns)]
        return {**tables, self.modality: replace(table, values=values)}


Change = Hidden | Shuffled
NOTHING = Hidden()


@dataclass(frozen=True)
class Memory:
    """What subjects of the same rows need not compute twice: an ensemble costs nothing beside its models.

    Attributes:
        answers: what each member gave, by its hash and what it was asked.
        inputs: what a scaler made of each modality's features as they are, by the modality and the scaler's hash.
    """

    answers: dict[tuple[str, str, Change], Tensor] = field(default_factory=dict)
    inputs: dict[tuple[str, str], Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """A model, and rows for it to answer: the one place where the evaluation asks a predictor.

    Attributes:
        predictor: the model.
        rows: of the manifest, whole dialogues, labelled or not, numbered from 0.
        tables: features of these rows.
        memory: shared with subjects of the same rows.
    """

    predictor: Predictor
    rows: pd.DataFrame
    tables: Tables
    memory: Memory = field(default_factory=Memory, repr=False)

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the model reads."""
        return tuple(self.predictor.bundle.features)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a label."""
        labelled: NDArray[np.bool_] = self.rows["label"].notna().to_numpy()
        return labelled

    def answer(self, change: Change = NOTHING) -> NDArray[np.float64]:
        """Probabilities of each labelled row, shape (n, classes), from its own features or changed ones."""
        return self.answer_all(change)[self.labelled]

    def answer_all(self, change: Change = NOTHING) -> NDArray[np.float64]:
        """Probabilities of every row, labelled or not, shape (rows, classes)."""
        return self.predictor.mixed(self._remembered(member_answer, change))

    def weights(self) -> NDArray[np.float64]:
        """How much each modality moved the answer for each row, shape (rows, modalities)."""
        return self.predictor.weighted(self._remembered(member_weights, NOTHING))

    def unfamiliar(self) -> NDArray[np.bool_]:
        """Which modalities of each row are unlike what the model was trained on, shape (rows, modalities)."""
        return self.predictor.unfamiliar(self._batch([NOTHING]))

    def answers(self, changes: Sequence[Change]) -> NDArray[np.float64]:
        """Probabilities of every row after each of several changes, shape (changes, rows, classes), in one go."""
        batch = self._batch(changes)
        answers = self.predictor.mixed([member_answer(member, batch) for member in self.predictor.bundle.members])
        return answers.reshape(len(changes), len(self.rows), -1)

    def part(self, chosen: NDArray[np.bool_]) -> Subject:
        """The same model with some of the rows."""
        rows = self.rows[chosen].reset_index(drop=True)
        return Subject(self.predictor, rows, {name: table.select(chosen) for name, table in self.tables.items()})

    def _remembered(self, give: Callable[[Fusion, Batch], Tensor], change: Change) -> list[Tensor]:
        keys = [(member, give.__name__, change) for member in self._members]
        if any(key not in self.memory.answers for key in keys):
            batch = self._batch([change])
            for key, member in zip(keys, self.predictor.bundle.members, strict=True):
                if key not in self.memory.answers:
                    self.memory.answers[key] = give(member, batch)
        return [self.memory.answers[key] for key in keys]

    def _batch(self, changes: Sequence[Change]) -> Batch:
        """The rows after each of several changes, one after the other, each with dialogues of its own."""
        tables = [change.of({modality: self.tables[modality] for modality in self.modalities}) for change in changes]
        inputs = {m: torch.cat([self._scaled(m, each[m]) for each in tables]) for m in self.modalities}
        present = {m: torch.from_numpy(np.concatenate([each[m].present for each in tables])) for m in self.modalities}
        context = None
        if self._lines is not None:
            index, speaker = self._lines
            shifted = [torch.where(index >= 0, index + copy * len(index), -1) for copy in range(len(changes))]
            context = Context(inputs["text"], present["text"], torch.cat(shifted), speaker.repeat(len(changes), 1))
        return Batch(inputs, torch.stack(list(present.values()), dim=1), context)

    def _scaled(self, modality: str, table: FeatureTable) -> Tensor:
        """What the model reads of a modality; most questions leave most modalities as they are."""
        scaler = self.predictor.bundle.scalers[modality]
        if table is not self.tables[modality]:
            return torch.from_numpy(scaler.transform(table))
        key = (modality, self._scalers[modality])
        if key not in self.memory.inputs:
            self.memory.inputs[key] = torch.from_numpy(scaler.transform(table))
        return self.memory.inputs[key]

    @cached_property
    def _lines(self) -> tuple[Tensor, Tensor] | None:
        """Numbers and speakers of the lines around each row, where the model reads them."""
        bundle = self.predictor.bundle
        if not bundle.reads_context:
            return None
        lines = manifest_lines(self.rows, self.tables["text"], bundle.train.attention)
        return torch.from_numpy(lines.index), torch.from_numpy(lines.speaker)

    @cached_property
    def _scalers(self) -> dict[str, str]:
        """A hash of each modality's scaler."""
        return {
            modality: _hash(scaler_tensors({modality: scaler}))
            for modality, scaler in self.predictor.bundle.scalers.items()
        }

    @cached_property
    def _members(self) -> list[str]:
        """A hash of all that each member's answers depend on beside the features."""
        bundle = self.predictor.bundle
        shared = repr((bundle.train, sorted(self._scalers.items())))
        states = [{name: tensor.numpy() for name, tensor in member.state_dict().items()} for member in bundle.members]
        return [_hash(state, f"{shared} {member.kind}") for state, member in zip(states, bundle.members, strict=True)]


def _hash(arrays: Mapping[str, NDArray[Any]], start: str = "") -> str:
    digest = hashlib.sha256(start.encode())
    for name, values in sorted(arrays.items()):
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def together(
    models: Mapping[str, Predictor], rows: pd.DataFrame, tables: Tables, own: Mapping[str, Tables] | None = None
) -> dict[str, Subject]:
    """Several models with the same rows, each member asked once whatever models it stands in.

    Args:
        models: by name.
        rows: as in `Subject`.
        tables: features of these rows.
        own: those of a model that reads others, by its name.
    """
    own, memory = own or {}, Memory()
    return {
        name: Subject(model, rows, own[name]) if name in own else Subject(model, rows, tables, memory)
        for name, model in models.items()
    }
