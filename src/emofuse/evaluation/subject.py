"""A model that is asked again and again, about rows whose features are hidden or shuffled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from emofuse.core.records import FeatureTable
from emofuse.fusion.base import Batch, Fusion
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
class Subject:
    """A model, and rows for it to answer: the one place where the evaluation asks a predictor.

    Attributes:
        predictor: the model.
        rows: of the manifest, whole dialogues, labelled or not, numbered from 0.
        tables: features of these rows.
        memory: what each member gave, by its hash and what it was asked. Subjects of the same rows can share it: then
            an ensemble costs nothing beside the models that it is made of.
    """

    predictor: Predictor
    rows: pd.DataFrame
    tables: Tables
    memory: dict[tuple[str, str, Change], Tensor] = field(default_factory=dict, repr=False)

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
        return self.predictor.mixed(self._asked(member_answer, change))

    def weights(self) -> NDArray[np.float64]:
        """How much each modality moved the answer for each row, shape (rows, modalities)."""
        return self.predictor.weighted(self._asked(member_weights, NOTHING))

    def answers(self, changes: Sequence[Change]) -> NDArray[np.float64]:
        """Probabilities of every row after each of several changes, shape (changes, rows, classes), in one go."""
        tables = [self._read(change) for change in changes]
        stacked = {m: FeatureTable.join([each[m] for each in tables]) for m in self.modalities}
        # Each change has dialogues of its own.
        copies = [self.rows.assign(dialogue=f"{n}/" + self.rows["dialogue"].astype(str)) for n in range(len(changes))]
        answers = Subject(self.predictor, pd.concat(copies, ignore_index=True), stacked).answer_all()
        return answers.reshape(len(changes), len(self.rows), -1)

    def part(self, chosen: NDArray[np.bool_]) -> Subject:
        """The same model with some of the rows."""
        rows = self.rows[chosen].reset_index(drop=True)
        return Subject(self.predictor, rows, {name: table.select(chosen) for name, table in self.tables.items()})

    def _asked(self, ask: Callable[[Fusion, Batch], Tensor], change: Change) -> list[Tensor]:
        keys = [(member, ask.__name__, change) for member in self._members]
        if any(key not in self.memory for key in keys):
            batch = self.predictor.batch(self._read(change), self.rows)
            for key, member in zip(keys, self.predictor.bundle.members, strict=True):
                if key not in self.memory:
                    self.memory[key] = ask(member, batch)
        return [self.memory[key] for key in keys]

    def _read(self, change: Change) -> Tables:
        return change.of({modality: self.tables[modality] for modality in self.modalities})

    @cached_property
    def _members(self) -> list[str]:
        """A hash of all that each member's answers depend on beside the features."""
        bundle = self.predictor.bundle
        shared = hashlib.sha256(repr(bundle.train).encode())
        for name, values in sorted(scaler_tensors(bundle.scalers).items()):
            shared.update(name.encode() + np.ascontiguousarray(values).tobytes())
        hashes = []
        for member in bundle.members:
            digest = shared.copy()
            digest.update(member.kind.encode())
            for name, tensor in member.state_dict().items():
                digest.update(name.encode() + tensor.numpy().tobytes())
            hashes.append(digest.hexdigest())
        return hashes


def together(models: Mapping[str, Predictor], rows: pd.DataFrame, tables: Tables) -> dict[str, Subject]:
    """Several models with the same rows, each member asked once whatever models it stands in."""
    memory: dict[tuple[str, str, Change], Tensor] = {}
    return {name: Subject(model, rows, tables, memory) for name, model in models.items()}
