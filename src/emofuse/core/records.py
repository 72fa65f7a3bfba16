"""What crosses rooms: an utterance, what is extracted of it, and the features of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KEY = ["split", "dialogue", "utterance"]
SPLITS = ("train", "dev", "test")
PREDICT = "predict"  # the split of rows that are neither trained nor measured on, and only get predictions
MODALITIES = ("text", "audio", "visual", "metadata")
CONTEXT_LINES = 32  # earlier lines of the dialogue that an extractor or a model may look at


@dataclass(frozen=True)
class Line:
    """An earlier utterance of the dialogue, as far as those that come later may look at it.

    Attributes:
        text: what was said, raw.
        clean_text: what was said, cleaned.
        speaker: who said it; None where unknown.
        start: seconds in the dialogue; None where unknown.
        end: seconds in the dialogue; None where unknown.
    """

    text: str = ""
    clean_text: str = ""
    speaker: str | None = None
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True)
class Utterance:
    """What an extractor may look at, in the pipeline and in the service alike.

    Attributes:
        clip: file with video or sound, or None.
        url: where the file is instead, if it is not on this machine: any address that fsspec reads.
        text: what was said, raw; empty where unknown.
        clean_text: what was said, cleaned.
        duration: seconds from the table, used where the clip can't tell; None where unknown.
        position: 0-based rank in the dialogue; None where there is no dialogue.
        dialogue_length: utterances in the dialogue; None where unknown.
        speaker: who says it; None where unknown.
        start: seconds in the dialogue; None where unknown.
        end: seconds in the dialogue; None where unknown.
        context: the lines before it, oldest first; of them the last `CONTEXT_LINES` count.
        clip_reason: why there is no clip.
    """

    clip: Path | None = None
    url: str | None = None
    text: str = ""
    clean_text: str = ""
    duration: float | None = None
    position: int | None = None
    dialogue_length: int | None = None
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    context: tuple[Line, ...] = ()
    clip_reason: str = "no clip"


@dataclass(frozen=True)
class Extracted:
    """One modality of one utterance: float32 values of shape (d,), or None and the reason."""

    values: NDArray[np.float32] | None
    reason: str = ""


@dataclass(frozen=True)
class FeatureTable:
    """One modality of n utterances.

    Attributes:
        names: the d feature names.
        values: float32 of shape (n, d); zero where absent, NaN where a single feature is unknown.
        present: bool of shape (n,).
        reasons: n strings, empty where present.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    present: NDArray[np.bool_]
    reasons: tuple[str, ...]

    @classmethod
    def stack(cls, names: Sequence[str], rows: Sequence[Extracted]) -> FeatureTable:
        """Collect extracted rows, in order, to one table."""
        values = np.zeros((len(rows), len(names)), dtype=np.float32)
        for index, row in enumerate(rows):
            if row.values is not None:
                values[index] = row.values
        present = np.array([row.values is not None for row in rows], dtype=bool)
        return cls(tuple(names), values, present, tuple(row.reason for row in rows))

    @classmethod
    def join(cls, tables: Sequence[FeatureTable]) -> FeatureTable:
        """The rows of several tables of the same features, one table after the other."""
        values = np.concatenate([table.values for table in tables])
        present = np.concatenate([table.present for table in tables])
        return cls(tables[0].names, values, present, tuple(reason for table in tables for reason in table.reasons))

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> FeatureTable:
        """The given rows, by mask or index."""
        reasons = np.array(self.reasons, dtype=object)[rows]
        return FeatureTable(self.names, self.values[rows], self.present[rows], tuple(reasons))
