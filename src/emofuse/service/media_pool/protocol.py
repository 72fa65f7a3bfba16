"""What the service asks of the processes that open uploads, and what they answer: lines of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Base64Bytes, ConfigDict, TypeAdapter

from emofuse.core.params import EXTRACTOR_PARAMS, ExtractorParams
from emofuse.core.reasons import Cause
from emofuse.core.records import Extracted, Utterance
from emofuse.media.limits import Bounds
from emofuse.media.windows import Look
from emofuse.service.schemas import Faces

READY, NEXT = b"ready\n", b"next\n"
FORK, KILL = b"f", b"k"  # what the fork server is asked


@dataclass(frozen=True)
class Setup:
    """What a fork server is told at its start.

    Attributes:
        extractors: the params of each modality's extractor.
        bounds: of a clip.
        worker_mb: MiB that a worker may take beyond what the fork server has.
        job_seconds: that a worker may take for a clip.
    """

    extractors: Mapping[str, dict[str, Any]]
    bounds: Bounds
    worker_mb: int
    job_seconds: float

    def params(self) -> dict[str, ExtractorParams]:
        """The params of each modality's extractor."""
        return {m: EXTRACTOR_PARAMS[m].model_validate(params) for m, params in self.extractors.items()}


@dataclass(frozen=True)
class ExtractJob:
    """A clip to extract.

    Attributes:
        utterance: what is known of it, less the clip.
        files: by name.
        modalities: those that are wanted, each with the name of its file; None where it has none.
        checked: whether the files are the service's own, so that nothing has to be checked.
    """

    utterance: Utterance
    files: Mapping[str, Path]
    modalities: Mapping[str, str | None]
    checked: bool = False


@dataclass(frozen=True)
class Done:
    """What a worker made of a job: the values of each modality or the reason why there are none, and the seconds spent.

    `refused` says why nothing was extracted, `faces` where in the clip the visual modality found the face.
    """

    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants")  # a feature that is unknown is NaN

    rows: Mapping[str, tuple[list[float] | None, str]]
    seconds: Mapping[str, float]
    refused: str = ""
    faces: Faces = field(default_factory=list)

    def extracted(self) -> dict[str, Extracted]:
        """The rows as extractors give them."""
        return {
            modality: Extracted(
                None if values is None else np.array(values, dtype=np.float32), Cause.parse(reason) if reason else None
            )
            for modality, (values, reason) in self.rows.items()
        }


@dataclass(frozen=True)
class Cut:
    """A long video to cut.

    Attributes:
        video: its file.
        spans: start and end of each window in seconds; where there are none, `window` and `hop` make them.
        window: seconds.
        hop: seconds from one window to the next.
        folder: where the windows are put.
        look: what is kept of the video.
        bounds: of the video.
    """

    video: Path
    spans: list[tuple[float, float]]
    window: float
    hop: float
    folder: Path
    look: Look
    bounds: Bounds


@dataclass(frozen=True)
class Glimpse:
    """A window of a live camera to extract.

    Attributes:
        utterance: what is known of it, less the clip.
        frames: times in seconds, and JPEG pictures.
        sound: mono, 16 bits, signed, little endian.
        sample_rate: of the sound, in Hz.
        folder: where it may put a file.
        modalities: those that are wanted.
        look: what is kept of it.
    """

    utterance: Utterance
    frames: list[tuple[float, Base64Bytes]]
    sound: Base64Bytes
    sample_rate: int
    folder: Path
    modalities: tuple[str, ...]
    look: Look


@dataclass(frozen=True)
class WindowFile:
    """A window of a video, in seconds from its start, and its file."""

    start: float
    end: float
    clip: Path


@dataclass(frozen=True)
class Piece:
    """A window, or, at the end of the video, none, and why it ended where that is an error."""

    window: WindowFile | None
    refused: str = ""


SETUP, DONE, PIECE = TypeAdapter(Setup), TypeAdapter(Done), TypeAdapter(Piece)
WORK: TypeAdapter[ExtractJob | Cut | Glimpse] = TypeAdapter(ExtractJob | Cut | Glimpse)
