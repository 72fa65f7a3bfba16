"""Windows of a film, each as a clip of its own: the video is decoded once, in order, and memory stays flat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.reasons import Cause, Reason
from emofuse.media.clip import MemoryClip, Shot
from emofuse.media.decode import sound_frames, timed_frames
from emofuse.media.mono import as_mono

# Of a film with one track that can be used.
NO_FAULT = (Reason.NO_VIDEO, Reason.NO_SOUND, Reason.NO_FRAMES, Reason.NO_SAMPLES, Reason.UNKNOWN_CODEC)
LEAST_SECONDS = 0.25  # of sound alone at the end of a video: encoders pad it by less


@dataclass(frozen=True)
class Look:
    """What of a video the extractors look at, so that nothing else is kept.

    Attributes:
        fps: frames a second.
        width: of the frames, in pixels.
        sample_rate: of the sound, in Hz.
    """

    fps: float
    width: int
    sample_rate: int


@dataclass(frozen=True)
class Window:
    """A part of a video, in seconds from its start."""

    start: float
    end: float
    clip: MemoryClip


def even_spans(window: float, hop: float) -> Iterator[tuple[float, float]]:
    """Start and end of windows without end, in seconds."""
    number = 0
    while True:
        yield number * hop, number * hop + window
        number += 1


def cut_windows(clip: Path, spans: Iterable[tuple[float, float]], look: Look, most_seconds: float) -> Iterator[Window]:
    """Cut a video to clips that hold what an extractor would take from it.

    Args:
        clip: any file that FFmpeg reads.
        spans: start and end of each window in seconds, by start; none is cut after the end of the video.
        look: what is kept.
        most_seconds: how long the video may be.

    Raises:
        MediaError: the video can't be decoded, breaks off or is too long; it is raised after the windows before that.
    """
    pictures = _Pictures(timed_frames(clip, look.fps, look.width, most_seconds))
    sound = _SoundTrack(as_mono(sound_frames(clip, most_seconds), look.sample_rate), look.sample_rate)
    cut = 0
    for start, end in spans:
        shots, samples = pictures.between(start, end), sound.between(start, end)
        little = not shots and len(samples) < LEAST_SECONDS * look.sample_rate
        if pictures.ended and sound.ended and little and (cut or not len(samples)):
            break
        cut += 1
        causes = {"picture": pictures.cause, "sound": sound.cause}
        damage = {track: cause for track, cause in causes.items() if cause and cause.reason is Reason.DAMAGED}
        yield Window(start, end, MemoryClip(shots, samples, look.sample_rate, end - start, damage))
    for cause in (pictures.cause, sound.cause):
        if cause is not None and (not cut or cause.reason not in NO_FAULT):
            raise MediaError(cause.reason, cause.detail)


class _Pictures:
    """The frames of a video, of which those of the current window are kept."""

    def __init__(self, frames: Iterator[Shot]) -> None:
        self._frames = frames
        self._kept: list[Shot] = []
        self.ended = False
        self.cause: Cause | None = None

    def between(self, start: float, end: float) -> list[Shot]:
        """Those from start to before end, with their times from start; what is before start is dropped."""
        while not self.ended and not (self._kept and self._kept[-1][0] >= end):
            self._kept = [(time, frame) for time, frame in self._kept if time >= start]
            try:
                self._kept.append(next(self._frames))
            except StopIteration:
                self.ended = True
            except MediaError as error:
                self.ended, self.cause = True, error.cause
        self._kept = [(time, frame) for time, frame in self._kept if time >= start]
        return [(time - start, frame) for time, frame in self._kept if time < end]


class _SoundTrack:
    """The samples of a sound track, of which those of the current window are kept."""

    def __init__(self, parts: Iterator[NDArray[np.int32]], rate: int) -> None:
        self._parts = parts
        self._rate = rate
        self._kept = np.zeros(0, np.int32)
        self._first = 0  # number of the first sample that is kept
        self.ended = False
        self.cause: Cause | None = None

    def between(self, start: float, end: float) -> NDArray[np.int32]:
        """The samples from start to end; what is before start is dropped."""
        first, last = round(start * self._rate), round(end * self._rate)
        while not self.ended and self._first + len(self._kept) < last:
            self._drop(first)
            try:
                self._kept = np.concatenate([self._kept, next(self._parts)])
            except StopIteration:
                self.ended = True
            except MediaError as error:
                self.ended, self.cause = True, error.cause
        self._drop(first)
        return self._kept[max(0, first - self._first) : max(0, last - self._first)]

    def _drop(self, first: int) -> None:
        gone = min(max(0, first - self._first), len(self._kept))
        self._kept, self._first = self._kept[gone:], self._first + gone
