"""What the service asks of the processes that open uploads, and what they answer: lines of JSON; bytes follow some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter

from emofuse.core.params import EXTRACTOR_PARAMS, ExtractorParams
from emofuse.core.reasons import Cause
from emofuse.core.records import Extracted, Utterance
from emofuse.media.limits import Bounds
from emofuse.media.windows import Look
from emofuse.service.schemas import SeenPerson
from emofuse.transcription.words import Word

READY, NEXT = b"ready\n", b"next\n"
SAMPLE = 4  # bytes
FORK, KILL = b"f", b"k"  # what the fork server is asked


@dataclass(frozen=True)
class Listener:
    """Who hears words.

    Attributes:
        recogniser: its name.
        language: that it is told; None where it finds it, or knows one only.
        speakers: the name of the model that tells voices apart; None for hand-made sound features.
    """

    recogniser: str
    language: str | None = None
    speakers: str | None = None


@dataclass(frozen=True)
class Setup:
    """What a fork server is told at its start.

    Attributes:
        extractors: the params of each modality's extractor.
        bounds: of a clip.
        worker_mb: MiB that a worker may take beyond what the fork server has.
        job_seconds: that a worker may take for a clip.
        assets: the bundle's folder of weights that extractors need.
        listener: of processes that hear words.
    """

    extractors: Mapping[str, dict[str, Any]]
    bounds: Bounds
    worker_mb: int
    job_seconds: float
    assets: Path | None = None
    listener: Listener | None = None

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
    """

    utterance: Utterance
    files: Mapping[str, Path]
    modalities: Mapping[str, str | None]


@dataclass(frozen=True)
class Done:
    """What a worker made of a job: the values of each modality or the reason why there are none, and the seconds spent.

    `refused` says why nothing was extracted, `people` whom the visual modality saw in the clip.
    """

    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants")  # a feature that is unknown is NaN

    rows: Mapping[str, tuple[list[float] | None, str]]
    seconds: Mapping[str, float]
    refused: str = ""
    people: list[SeenPerson] = field(default_factory=list)

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
    """A film to cut.

    Attributes:
        video: its file.
        spans: start and end of each window in seconds; where there are none, `window` and `hop` make them.
        window: seconds.
        hop: seconds from one window to the next.
        look: what is kept of the video.
        bounds: of the video.
        transcribe: whether the words are heard, and speech makes the windows.
        speakers: whether voices are told apart, too; then all is heard before the first window.
        speaker_count: how many speakers there are; None where the voices decide.
    """

    video: Path
    spans: list[tuple[float, float]]
    window: float
    hop: float
    look: Look
    bounds: Bounds
    transcribe: bool = False
    speakers: bool = False
    speaker_count: int | None = None


@dataclass(frozen=True)
class PackedClip:
    """A clip in memory, less its bytes, which follow the line that it stands in: the pictures, then the samples.

    Attributes:
        pictures: time in seconds, height and width of each, gray, a byte a pixel; of one that is compressed, such as a
            JPEG, 0 and its bytes.
        samples: of the sound, mono, 32 bits, signed, little endian.
        rate: of the samples, in Hz.
        length: seconds.
    """

    pictures: list[tuple[float, int, int]]
    samples: int
    rate: int
    length: float

    @property
    def size(self) -> int:
        """The bytes that follow."""
        return sum(max(height, 1) * width for _, height, width in self.pictures) + SAMPLE * self.samples


@dataclass(frozen=True)
class MemoryJob:
    """A window of a film or of a live camera to extract.

    Attributes:
        utterance: what is known of it, less the clip.
        modalities: those that are wanted.
        clip: the window.
        width: of a picture at most, in pixels.
    """

    utterance: Utterance
    modalities: tuple[str, ...]
    clip: PackedClip
    width: int


@dataclass(frozen=True)
class Hear:
    """A sound or a video whose words are wanted.

    Attributes:
        file: that holds it.
        bounds: of the file.
    """

    file: Path
    bounds: Bounds


@dataclass(frozen=True)
class HeardWords:
    """The words of a sound, or why there are none, and who says them, where that was asked for.

    `refused` says why it can't be listened to.
    """

    words: list[Word] = field(default_factory=list)
    reason: str = ""
    speaker: str | None = None
    refused: str = ""


@dataclass(frozen=True)
class Piece:
    """A window of a video, from start to end in seconds; at its end none, and why it ended where that is an error.

    Where the words are heard, `heard` has those of the window. A piece that is `listening` is none yet: it says that
    the video was listened to up to its end.
    """

    clip: PackedClip | None
    start: float = 0.0
    end: float = 0.0
    refused: str = ""
    heard: HeardWords | None = None
    listening: bool = False


SETUP, DONE, PIECE = TypeAdapter(Setup), TypeAdapter(Done), TypeAdapter(Piece)
HEARD = TypeAdapter(HeardWords)
WORK: TypeAdapter[ExtractJob | Cut | MemoryJob | Hear] = TypeAdapter(ExtractJob | Cut | MemoryJob | Hear)
