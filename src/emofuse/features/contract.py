"""The contract of an extractor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emofuse.core.records import Extracted, Utterance

STATISTICS = ("mean", "std", "min", "max")


@dataclass(frozen=True)
class FeatureGroup:
    """Columns that are chosen together, and what the documentation says of them.

    Attributes:
        name: what stands in params.yaml.
        columns: their names, in the order of the values.
        formula: how they are computed, in a sentence.
        unit: of the columns, such as `Hz`; `1` where they have none.
        source: the paper or library that the method is from.
    """

    name: str
    columns: tuple[str, ...]
    formula: str
    unit: str
    source: str


class Extractor(Protocol):
    """Turns utterances into one modality's features.

    What an instance holds (its params) is its identity: the same identity gives the same values for the same utterance.
    """

    names: tuple[str, ...]

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give one `Extracted` an utterance, in order; bad input is a reason, never an exception."""
        ...

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        """Give the same with the number of its utterance, each as soon as it is done, in any order."""
        ...

    def warm_up(self) -> None:
        """Run once what loads or compiles at first use, so that the first utterance costs no more than others."""
        ...


def statistic_names(columns: Iterable[str]) -> list[str]:
    """Names of `statistics`: each column with each statistic as its suffix."""
    return [f"{column}_{statistic}" for column in columns for statistic in STATISTICS]


def statistics(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean, standard deviation, minimum and maximum of each row.

    Args:
        rows: shape (columns, times).

    Returns:
        float32 of shape (4 * columns,), in the order of `statistic_names`.
    """
    stacked = np.stack([rows.mean(axis=1), rows.std(axis=1), rows.min(axis=1), rows.max(axis=1)], axis=1)
    return stacked.ravel().astype(np.float32)


def ordered(names: Sequence[str], values: Mapping[str, float]) -> NDArray[np.float32]:
    """Values in the order of their names."""
    return np.array([values[name] for name in names], dtype=np.float32)
