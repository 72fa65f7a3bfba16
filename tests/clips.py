"""Makers of odd and broken media files."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition


def dot(size: tuple[int, int]) -> np.ndarray:
    """A dark picture with a bright top left quarter, RGB of shape (height, width, 3)."""
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    picture[: size[1] // 2, : size[0] // 2] = 255
    return picture


def add_video(
    container: Any,
    size: tuple[int, int] = (160, 90),
    pixels: str = "yuv420p",
    frames: int = 24,
    codec: str = "libx264",
    rotation: int | None = None,
    times: Callable[[int], int] | None = None,
    picture: np.ndarray | None = None,
    default: bool | None = None,
) -> Callable[[], None]:
    """Add a video track of 24 frames a second; the result writes its frames. `times` gives milliseconds by frame."""
    stream = container.add_stream(codec, rate=24)
    stream.width, stream.height, stream.pix_fmt = *size, pixels
    if times:
        stream.codec_context.time_base = Fraction(1, 1000)
    if rotation is not None:
        stream.set_display_rotation(rotation)
    if default is not None:
        stream.disposition = Disposition.default if default else 0
    shown = dot(size) if picture is None else picture

    def write() -> None:
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            frame.pts = times(number) if times else number
            frame.time_base = Fraction(1, 1000) if times else Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())

    return write


def add_sound(
    container: Any,
    codec: str = "aac",
    rate: int = 16000,
    layout: str = "mono",
    seconds: float = 1.0,
    tone: float = 220.0,
    default: bool | None = None,
) -> Callable[[], None]:
    """Add a sound track with a sine tone of peak 0.5 in every channel; the result writes its samples."""
    stream = container.add_stream(codec, rate=rate, layout=layout)
    if default is not None:
        stream.disposition = Disposition.default if default else 0

    def write() -> None:
        wave = 0.5 * np.sin(2 * np.pi * tone * np.arange(round(rate * seconds)) / rate)
        if len(wave):
            channels = len(av.AudioLayout(layout).channels)
            samples = np.repeat(wave[None].astype(np.float32), channels, axis=0)
            _mux_samples(container, stream, samples, "fltp")
        container.mux(stream.encode())

    return write


def _mux_samples(container: Any, stream: Any, samples: np.ndarray, form: str) -> None:
    """Write samples, laid out as `form` says, in the stream's own format."""
    frame = av.AudioFrame.from_ndarray(samples, format=form, layout=stream.layout.name)
    frame.sample_rate = stream.rate
    for part in av.AudioResampler(stream.codec_context.format, stream.layout.name, stream.rate).resample(frame):
        container.mux(stream.encode(part))


def write_media(path: Path, *tracks: Callable[[Any], Callable[[], None]], **options: Any) -> Path:
    """Write a file of tracks, each given as a function of the container."""
    with av.open(str(path), "w", **options) as container:
        writers = [track(container) for track in tracks]
        container.start_encoding()
        for write in writers:
            write()
    return path


def with_cover(path: Path) -> Path:
    """Write a second of sound with a cover picture."""

    def cover(container: Any) -> Callable[[], None]:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        stream.disposition = Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(dot((64, 64)), format="rgb24")
        return lambda: container.mux([*stream.encode(frame), *stream.encode()])

    codec, kind = ("libmp3lame", "mp3") if path.suffix == ".mp3" else ("aac", "mp4")
    return write_media(path, lambda container: add_sound(container, codec), cover, format=kind)


def copied(
    source: Path,
    path: Path,
    later: dict[str, float] | None = None,
    start: float = 0.0,
    keep: Callable[[str, float], bool] = lambda kind, time: True,
) -> Path:
    """Copy a clip's packets, as `ffmpeg -c copy` does.

    Args:
        source: a clip.
        path: the copy.
        later: seconds by which the tracks of a kind (`video`, `audio`) come later.
        start: seconds of the source at which the copy starts; mp4 notes it in an edit list.
        keep: whether to copy a packet, by its track's kind and its time in the source.
    """
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        tracks = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue
            kind = packet.stream.type
            if keep(kind, float(packet.pts * packet.time_base)):
                by = round(((later or {}).get(kind, 0.0) - start) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + by, packet.dts + by, tracks[packet.stream.index]
                new.mux(packet)
    return path


def write_samples(path: Path, channels: np.ndarray, codec: str = "pcm_f32le", rate: int = 16000) -> Path:
    """Write samples of shape (channels, samples) in [-1, 1], uncompressed unless a codec is named."""
    with av.open(str(path), "w") as container:
        layout = {1: "mono", 2: "stereo", 6: "5.1"}.get(len(channels), f"{len(channels)}c")
        stream = container.add_stream(codec, rate=rate, layout=layout)
        interleaved = np.ascontiguousarray(channels.T.astype(np.float32)).reshape(1, -1)
        _mux_samples(container, stream, interleaved, "flt")
        container.mux(stream.encode())
    return path
