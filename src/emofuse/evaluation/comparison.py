"""Two or more models in one table, on the rows that they share, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.records import KEY
from emofuse.evaluation.measured import Measured, difference_of, differences, standings
from emofuse.evaluation.sources import ModelAnswers
from emofuse.evaluation.uncertainty import FEW


@dataclass(frozen=True)
class Comparison:
    """What was compared, on which rows, and what came out.

    Attributes:
        names: of the sources; the first is what the others are held against.
        split: that was measured on.
        rows: that all share.
        groups: of those rows, which were kept apart and are drawn.
        drawn: what these groups are, in the plural.
        left_out: rows of the split that not all have, or that they label differently.
        scores: of each source: metric, then `value`, `low`, `high`.
        differences: of weighted F1, each source from each other.
    """

    names: tuple[str, ...]
    split: str
    rows: int
    groups: int
    drawn: str
    left_out: int
    scores: dict[str, dict[str, dict[str, float | None]]]
    differences: list[dict[str, Any]]

    def difference(self, name: str, against: str) -> Mapping[str, Any] | None:
        """The paired difference of two sources; None of one from itself."""
        return difference_of(self.differences, name, against)

    def notes(self) -> list[str]:
        """What to know before believing the table, a sentence each."""
        notes = []
        if self.left_out:
            notes.append(f"{self.left_out} rows left out: not all have them, or they are labelled differently")
        if self.groups < FEW:
            notes.append(f"{self.groups} {self.drawn} are few: intervals are wide, and somewhat too narrow even so")
        return notes


def compare(sources: Sequence[ModelAnswers], split: str, resamples: int, seed: int) -> Comparison:
    """Measure the answers on the rows that all sources label alike.

    Raises:
        DataError: there are no such rows, or two sources are the same.
    """
    names = tuple(source.name for source in sources)
    if len(set(names)) < len(names) or len(names) < 2:
        raise DataError(
            f"found {', '.join(names)}, expected at least two different ones; add :MODEL to tell them apart"
        )
    parts = [_labelled(source, split) for source in sources]
    shared = parts[0]
    for part in parts[1:]:
        shared = shared.merge(part.drop(columns="group", errors="ignore"), on=[*KEY, "label"], validate="one_to_one")
    if shared.empty:
        splits = sorted({name for source in sources for name in source.answers["split"]})
        raise DataError(
            f"{', '.join(names)}: found no labelled {split} row that all have, expected models of the same data and a "
            f"split of {', '.join(splits)}; choose it with --split"
        )
    everything = len(pd.concat([part[KEY] for part in parts]).drop_duplicates())
    classes = tuple(sorted({*shared["label"], *(label for name in names for label in shared[name])}))
    sure = {name: np.eye(len(classes))[pd.Index(classes).get_indexer(shared[name])] for name in names}
    measured = Measured(shared, classes, sure, resamples, seed)
    return Comparison(
        names,
        split,
        len(shared),
        measured.bootstrap.groups,
        measured.drawn,
        everything - len(shared),
        standings(measured),
        differences(measured, names, names),
    )


def _labelled(source: ModelAnswers, split: str) -> pd.DataFrame:
    rows = source.answers
    chosen = rows[(rows["split"] == split) & rows["label"].notna()]
    return chosen.rename(columns={"predicted": source.name})
