"""What crosses rooms: an utterance, what is extracted of it, and the features of many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from emofuse.core.reasons import Cause, Reason
from emofuse.core.text import clean_text, normal_form

KEY = ["split", "dialogue", "utterance"]
SPLITS = ("train", "dev", "test")
PREDICT = "predict"  # the split of rows that are neither trained nor measured on, and only get predictions
MODALITIES = ("text", "audio", "visual", "metadata")
CONTEXT_LINES = 32  # earlier lines of the dialogue that an extractor or a model may look at


NO_CLIP = Cause(Reason.NO_CLIP)


@dataclass(frozen=True)
class Line:
    """What is said in a dialogue, by whom and when: as much as those that come later may look at.

    Attributes:
        text: what was said, raw; empty where unknown.
        speaker: who said it; None where unknown.
        start: seconds in the dialogue; None where unknown.
        end: seconds in the dialogue; None where unknown.
    """

    text: str = ""
    speaker: str | None = None
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        """Bring the speaker's name to its normal form; without a name two lines aren't by the same person."""
        object.__setattr__(self, "speaker", normal_form(self.speaker or "") or None)

    @property
    def clean_text(self) -> str:
        """What was said, cleaned."""
        return clean_text(self.text)

    @property
    def lasts(self) -> float | None:
        """Seconds by its times; None where they are unknown or out of order."""
        if self.start is None or self.end is None or self.end <= self.start:
            return None
        return self.end - self.start


@runtime_checkable
class Clip(Protocol):
    """A film, or a sound alone; `emofuse.media.clip` has the kinds. Times are seconds from its start."""

    @property
    def damage(self) -> Mapping[str, Cause]:
        """Of each track (`picture`, `sound`) that was read and breaks off: why and where."""
        ...

    def frames(self, fps: float, width: int) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        """Times and gray pictures, `fps` a second, uint8 of shape (height, width) and no wider than `width` pixels."""
        ...

    def sound(self, rate: int) -> NDArray[np.float32]:
        """The sound in mono at `rate` Hz, float32 of shape (samples,), in [-1, 1]."""
        ...

    def seconds(self) -> float:
        """Its length."""
        ...


@dataclass(frozen=True)
class Utterance(Line):
    """A line with its place in the dialogue and its clip: what an extractor may look at, in pipeline and service alike.

    Attributes:
        clip: video or sound, or the file that holds it, or None.
        url: where the file is instead, if it is not on this machine: any address that fsspec reads.
        sha256: of the file's bytes as they were read with the table, in hexadecimal; None where unknown.
        duration: seconds from the table, used where the clip can't tell; None where unknown.
        position: 0-based rank in the dialogue; None where there is no dialogue.
        dialogue_length: utterances in the dialogue; None where unknown.
        context: the lines before it, oldest first; the last `CONTEXT_LINES` are kept.
        clip_reason: why there is no clip.
    """

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)  # a clip that isn't a file is never serialised

    clip: Path | Clip | None = None
    url: str | None = None
    sha256: str | None = None
    duration: float | None = None
    position: int | None = None
    dialogue_length: int | None = None
    context: tuple[Line, ...] = ()
    clip_reason: Cause = NO_CLIP

    def __post_init__(self) -> None:
        """Keep the lines that count."""
        super().__post_init__()
        object.__setattr__(self, "context", self.context[-CONTEXT_LINES:])


@dataclass(frozen=True)
class Extracted:
    """One modality of one utterance: float32 values of shape (d,), or None.

    `cause` says why there are none, or, where a clip is damaged, how far it could be used.
    """

    values: NDArray[np.float32] | None
    cause: Cause | None = None

    @property
    def reason(self) -> str:
        """The cause as it reads; empty where there is none."""
        return "" if self.cause is None else str(self.cause)


@dataclass(frozen=True)
class FeatureTable:
    """One modality of n utterances.

    Attributes:
        names: the d feature names.
        values: float32 of shape (n, d); zero where absent, NaN where a single feature is unknown.
        present: bool of shape (n,).
        reasons: n strings, empty where all is well; why a row is absent, or how far a damaged clip was used.
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
