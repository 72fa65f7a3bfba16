"""A clip as extractors see it, in a file or in memory: pictures at a rate and width, sound at a rate, and a length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.reasons import Cause, Reason
from emofuse.media.decode import probe_duration, sound_frames, timed_frames
from emofuse.media.mono import Gapped, as_mono
from emofuse.media.pictures import narrowed

T = TypeVar("T")
Shot = tuple[float, NDArray[np.uint8]]  # time in seconds, gray picture
KEPT = 2**24  # decoded samples that are kept for the next reader: 64 MB; what is longer is decoded again
SLACK = 0.1  # of the time between two pictures: by so much one may come early, since cameras are not even


class FileClip:
    """A clip in a file. Its sound is decoded once, however many read it.

    Args:
        path: any file that FFmpeg reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: dict[str, Cause] = {}
        self._decoded: list[Gapped] | None = None

    def frames(self, fps: float, width: int) -> Iterator[Shot]:
        """The pictures of the best video track, `fps` a second, upright, in gray and no wider than `width`.

        Yields:
            Seconds, and uint8 of shape (height, width), aspect ratio kept.

        Raises:
            MediaError: the file can't be decoded, has no video track or no frame in it, or is too long.
        """
        yield from self._to_the_damage("picture", timed_frames(self.path, fps, width))

    def sound(self, rate: int) -> NDArray[np.float32]:
        """The best sound track, mixed to mono.

        Args:
            rate: in Hz.

        Returns:
            float32 of shape (samples,), in [-1, 1].

        Raises:
            MediaError: the file can't be decoded, has no sound track or no sample in it, or is too long.
        """
        return _as_float(list(as_mono(self._sound_frames(), rate)))

    def _sound_frames(self) -> Iterator[Gapped]:
        if self._decoded is not None:
            yield from self._decoded
            return
        decoded: list[Gapped] = []
        size = 0
        for gap, frame in self._to_the_damage("sound", sound_frames(self.path)):
            size += frame.samples * frame.layout.nb_channels
            if size <= KEPT:
                decoded.append((gap, frame))
            yield gap, frame
        if size <= KEPT:
            self._decoded = decoded

    def _to_the_damage(self, track: str, frames: Iterator[T]) -> Iterator[T]:
        try:
            yield from frames
        except MediaError as error:
            if error.cause.reason is not Reason.DAMAGED:
                raise
            self.damage[track] = error.cause

    def seconds(self) -> float:
        """Its length, from the header.

        Raises:
            MediaError: the file can't be read, or its header gives no length.
        """
        return probe_duration(self.path)


@dataclass(frozen=True)
class MemoryClip:
    """A clip that is decoded already, such as a window of a film or of a live camera.

    Attributes:
        shots: times in seconds from its start, and gray pictures, uint8 of shape (height, width), by time.
        samples: of the sound, int32 of shape (samples,).
        rate: of the samples, in Hz.
        length: seconds.
    """

    shots: Sequence[Shot]
    samples: NDArray[np.int32]
    rate: int
    length: float
    damage: dict[str, Cause] = field(default_factory=dict)

    def frames(self, fps: float, width: int) -> Iterator[Shot]:
        """The pictures, at most `fps` a second and no wider than `width`.

        Raises:
            MediaError: there are none.
        """
        if not self.shots:
            raise self._missing("picture", Reason.NO_VIDEO)
        due = self.shots[0][0]
        for time, picture in self.shots:
            if time >= due - SLACK / fps:
                due = max(due + 1 / fps, time)
                yield time, narrowed(picture, width)

    def sound(self, rate: int) -> NDArray[np.float32]:
        """The sound at `rate` Hz, float32 of shape (samples,), in [-1, 1].

        Raises:
            MediaError: there is none.
        """
        if not len(self.samples):
            raise self._missing("sound", Reason.NO_SOUND)
        if rate == self.rate:
            return _as_float([self.samples])
        frame = av.AudioFrame.from_ndarray(self.samples[None], format="s32", layout="mono")
        frame.sample_rate = self.rate
        return _as_float(list(as_mono([(0.0, frame)], rate)))

    def seconds(self) -> float:
        """Its length."""
        return self.length

    def _missing(self, track: str, reason: Reason) -> MediaError:
        cause = self.damage.get(track, Cause(reason))
        return MediaError(cause.reason, cause.detail)


def _as_float(parts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32]:
    return np.concatenate(parts).astype(np.float32) / np.float32(2**31)
