"""Windows of a long video, each as a clip of its own: the video is decoded once, in order, and memory stays flat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.media.decode import sound_parts, timed_frames

Shot = tuple[float, NDArray[np.uint8]]  # time in seconds, gray picture
LEAST_SECONDS = 0.25  # of sound alone at the end of a video: encoders pad it by less
MILLISECOND = Fraction(1, 1000)


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
    """A part of a video, in seconds from its start, and its file."""

    start: float
    end: float
    clip: Path


def even_spans(window: float, hop: float) -> Iterator[tuple[float, float]]:
    """Start and end of windows without end, in seconds."""
    number = 0
    while True:
        yield number * hop, number * hop + window
        number += 1


def cut_windows(
    clip: Path, spans: Iterable[tuple[float, float]], folder: Path, look: Look, most_seconds: float
) -> Iterator[Window]:
    """Cut a video.

    The files hold the frames and the samples that an extractor would take from the video itself, uncompressed: cutting
    costs little beyond decoding, and changes a feature by rounding at most.

    Args:
        clip: any file that FFmpeg reads.
        spans: start and end of each window in seconds, by start; none is cut after the end of the video.
        folder: where the files are put; whoever reads one removes it.
        look: what is kept.
        most_seconds: how long the video may be.

    Raises:
        MediaError: the video can't be decoded, or is too long.
    """
    frames = _Frames(timed_frames(clip, look.fps, look.width, most_seconds))
    sound = _Sound(sound_parts(clip, look.sample_rate, most_seconds), look.sample_rate)
    cut = 0
    for number, (start, end) in enumerate(spans):
        seen, heard = frames.between(start, end), sound.between(start, end)
        little = not seen and len(heard) < LEAST_SECONDS * look.sample_rate
        if frames.ended and sound.ended and little and (cut or not len(heard)):
            break
        path = folder / f"{number}.nut"
        write_window(path, seen, heard, look)
        cut += 1
        yield Window(start, end, path)
    if not cut:
        raise MediaError(frames.missing or sound.missing or "video without frames and sound")


class _Frames:
    """The frames of a video, of which those of the current window are held."""

    def __init__(self, frames: Iterator[Shot]) -> None:
        self._frames = frames
        self._held: list[Shot] = []
        self.ended = False
        self.missing = ""

    def between(self, start: float, end: float) -> list[Shot]:
        """Those from start to before end, with their times from start; what is before start is dropped."""
        while not self.ended and not (self._held and self._held[-1][0] >= end):
            self._held = [(time, frame) for time, frame in self._held if time >= start]
            try:
                self._held.append(next(self._frames))
            except StopIteration:
                self.ended = True
            except MediaError as error:
                self.ended, self.missing = True, str(error)
        self._held = [(time, frame) for time, frame in self._held if time >= start]
        return [(time - start, frame) for time, frame in self._held if time < end]


class _Sound:
    """The samples of a sound track, of which those of the current window are held."""

    def __init__(self, parts: Iterator[NDArray[np.int32]], rate: int) -> None:
        self._parts = parts
        self._rate = rate
        self._held = np.zeros(0, np.int32)
        self._first = 0  # number of the first sample that is held
        self.ended = False
        self.missing = ""

    def between(self, start: float, end: float) -> NDArray[np.int32]:
        """The samples from start to end; what is before start is dropped."""
        first, last = round(start * self._rate), round(end * self._rate)
        while not self.ended and self._first + len(self._held) < last:
            self._drop(first)
            try:
                self._held = np.concatenate([self._held, next(self._parts)])
            except StopIteration:
                self.ended = True
            except MediaError as error:
                self.ended, self.missing = True, str(error)
        self._drop(first)
        return self._held[max(0, first - self._first) : max(0, last - self._first)]

    def _drop(self, first: int) -> None:
        gone = min(max(0, first - self._first), len(self._held))
        self._held, self._first = self._held[gone:], self._first + gone


def write_window(path: Path, frames: list[Shot], samples: NDArray[np.int32], look: Look) -> None:
    """Write frames, with their times in seconds, and samples, uncompressed."""
    with av.open(str(path), "w", format="nut") as container:
        picture = sound = None
        if frames:
            picture = container.add_stream("rawvideo", rate=max(1, round(look.fps)))
            picture.pix_fmt, picture.codec_context.time_base = "gray", MILLISECOND
            picture.height, picture.width = frames[0][1].shape
        if len(samples):
            sound = container.add_stream("pcm_s32le", rate=look.sample_rate, layout="mono")
        for time, image in frames:
            assert picture is not None
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            frame.pts, frame.time_base = round(time * 1000), MILLISECOND
            container.mux(picture.encode(frame))
        if sound is not None:
            part = av.AudioFrame.from_ndarray(samples[None], format="s32", layout="mono")
            part.sample_rate, part.pts, part.time_base = look.sample_rate, 0, Fraction(1, look.sample_rate)
            container.mux(sound.encode(part))
        for stream in (picture, sound):
            if stream is not None:
                container.mux(stream.encode())
