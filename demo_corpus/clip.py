"""Writing a clip: H.264 pictures and AAC sound in an mp4 file, the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""`(HEIGHT, WIDTH, 3)`: blue, green, red."""

WIDTH, HEIGHT = 640, 360

# Without the bitexact flags, libav writes its version and the encoder's settings of the day into the file.
_CONTAINER_OPTIONS = {"fflags": "+bitexact"}
_VIDEO_OPTIONS = {"preset": "ultrafast", "crf": "25", "threads": "1", "x264-params": "threads=1:lookahead-threads=1"}
_AUDIO_OPTIONS = {"aac_coder": "fast"}


def write_clip(
    path: Path, pictures: Iterable[Picture], frame_rate: int, samples: NDArray[np.float32] | None, sample_rate: int
) -> None:
    """Write an mp4 file.

    Args:
        path: the file; its folder must exist.
        pictures: `(HEIGHT, WIDTH, 3)` each, blue, green, red; one that is held comes as the same array again.
        frame_rate: pictures a second.
        samples: mono sound between -1 and 1, or None for a clip without a sound track.
        sample_rate: Hz.
    """
    with av.open(str(path), "w", format="mp4", options=_CONTAINER_OPTIONS) as container:
        video = container.add_stream("libx264", rate=frame_rate, options=_VIDEO_OPTIONS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.codec_context.flags |= Flags.bitexact
        if samples is not None:
            audio = container.add_stream("aac", rate=sample_rate, options=_AUDIO_OPTIONS, layout="mono", bit_rate=64000)
            audio.codec_context.flags |= Flags.bitexact
            _write_sound(container, audio, samples, sample_rate)
        _write_pictures(container, video, pictures)


def _write_pictures(container: OutputContainer, stream: VideoStream, pictures: Iterable[Picture]) -> None:
    # One frame for all pictures: the encoder copies what it is given.
    frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
    values = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    held: Picture | None = None
    for index, picture in enumerate(pictures):
        if picture is not held:
            cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420, values)
            for plane, part in zip(frame.planes, np.split(values, (HEIGHT, HEIGHT * 5 // 4)), strict=True):
                plane.update(part.tobytes())
            held = picture
        frame.pts = index
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_sound(
    container: OutputContainer, stream: AudioStream, samples: NDArray[np.float32], sample_rate: int
) -> None:
    frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="fltp", layout="mono")
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    frame.pts = 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
