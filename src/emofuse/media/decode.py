"""The only place that opens a clip: probing, sound samples and gray frames, all by PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from emofuse.core.errors import MediaError

MAX_SECONDS = 600  # an utterance lasts seconds; what lasts longer is an uncut film, which would fill the memory
GUESSED_RATE = 25  # frames a second of a video that says neither when a frame is due nor how fast it runs
LEAST_SHARE = 0.9  # of the frames that the header counts; a decoder may leave a few out at an edit
# Pixel formats whose first plane is 8-bit brightness, so that nothing has to be converted.
LUMA_FIRST = ("yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "nv12", "gray")
JPEG_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG: black is 0 and white 255, where video has 16 and 235
FULL_RANGE = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
Stream = TypeVar("Stream", AudioStream, VideoStream)


@contextmanager
def _opened(clip: Path) -> Iterator[InputContainer]:
    if not clip.is_file():
        raise MediaError("file not found")
    if clip.stat().st_size == 0:
        raise MediaError("file is empty")
    try:
        # metadata_errors: real files carry tags in broken encodings, which are not what we came for.
        # A clip may name other files or addresses (playlists do); none but itself is opened.
        with av.open(str(clip), metadata_errors="ignore", options={"protocol_whitelist": "file"}) as container:
            yield container
    except FFmpegError as error:
        raise MediaError(f"can't be decoded: {error.strerror}") from None
    except OSError as error:
        raise MediaError(f"can't be read: {error.strerror}") from None


def _video_streams(container: InputContainer) -> list[VideoStream]:
    """The video tracks; a cover picture is stored like one, but is none."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _best(streams: Sequence[Stream], kind: str) -> Stream:
    """The track that a player would choose: the default one, else the first."""
    if not streams:
        raise MediaError(f"no {kind} track")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise MediaError(f"{kind} track in an unknown codec")
    best = max(known, key=lambda stream: bool(stream.disposition & Disposition.default))
    best.codec_context.thread_count = 1  # one process a core does better than threads within one
    return best


def probe_streams(clip: Path) -> None:
    """Check that a file opens as a clip.

    Raises:
        MediaError: the file is missing, empty, no clip, or has neither a video nor a sound track.
    """
    with _opened(clip) as container:
        if not _video_streams(container) and not container.streams.audio:
            raise MediaError("no video or sound track")


@dataclass(frozen=True)
class Bounds:
    """How large a clip may be: tracks, pixels of a frame, seconds, and frames of a video track."""

    streams: int
    pixels: int
    seconds: float
    frames: int


def check_clip(clip: Path, bounds: Bounds) -> None:
    """Check a clip's header, then count and time its packets, which a header can lie about. Nothing is decoded.

    Raises:
        MediaError: the file is no clip, has neither a video nor a sound track, or is over a bound.
    """
    with _opened(clip) as container:
        videos = _video_streams(container)
        if not videos and not container.streams.audio:
            raise MediaError("no video or sound track")
        _within("tracks", len(container.streams), bounds.streams)
        for stream in videos:
            if stream.codec_context is not None:
                _within("pixels a frame", stream.codec_context.width * stream.codec_context.height, bounds.pixels)
            _within("frames", stream.frames, bounds.frames)
        _within("seconds", _claimed(container) or 0, bounds.seconds)
        _check_packets(container, bounds)


def _check_packets(container: InputContainer, bounds: Bounds) -> None:
    counts = [0] * len(container.streams)
    first: float | None = None
    for packet in container.demux():
        if packet.size == 0:
            continue
        if packet.stream.type == "video":
            counts[packet.stream_index] += 1
            _within("frames", counts[packet.stream_index], bounds.frames)
        if packet.pts is not None and packet.stream.type in ("video", "audio"):
            time = float(packet.pts * packet.time_base)
            first = time if first is None else min(first, time)
            _within("seconds", time - first, bounds.seconds)


def _within(what: str, found: float, most: float) -> None:
    if found > most:
        raise MediaError(f"found {found:g} {what}, expected at most {most:g}")


def probe_duration(clip: Path) -> float:
    """Length of a clip in seconds, from its header.

    Raises:
        MediaError: the file is missing, empty, or no clip, or its header gives no length.
    """
    with _opened(clip) as container:
        length = _claimed(container)
    if length is None:
        raise MediaError("header gives no length")
    return length


def _claimed(container: InputContainer) -> float | None:
    lengths = [float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base]
    if container.duration:
        lengths.append(container.duration / av.time_base)
    return max(lengths, default=None)


def audio_samples(clip: Path, sample_rate: int) -> NDArray[np.float32]:
    """The best sound track, mixed to mono.

    Args:
        clip: any file that FFmpeg reads.
        sample_rate: wanted rate in Hz.

    Returns:
        float32 of shape (samples,), in [-1, 1].

    Raises:
        MediaError: the file can't be decoded, has no sound track, no samples in it, or too many for an utterance.
    """
    parts = list(sound_parts(clip, sample_rate))
    return np.concatenate(parts).astype(np.float32) / np.float32(2**31)


def sound_parts(clip: Path, sample_rate: int, most_seconds: float = MAX_SECONDS) -> Iterator[NDArray[np.int32]]:
    """The same as it is decoded: int32 of shape (samples,), a part at a time."""
    with _opened(clip) as container:
        stream = _best(container.streams.audio, "sound")
        found = 0
        for part in _mono(container.decode(stream), sample_rate):
            found += len(part)
            if found > most_seconds * sample_rate:
                raise MediaError(f"longer than {most_seconds:g} s; cut it into utterances")
            yield part
    if not found:
        raise MediaError("sound track without samples")


def _mono(frames: Iterable[av.AudioFrame], rate: int) -> Iterator[NDArray[np.int32]]:
    """Frames as mono at `rate`; each change of format within the track starts a new resampler.

    Integers make FFmpeg keep the mix of several channels within the range; floats would leave it.
    """
    resampler: av.AudioResampler | None = None
    format_now = None
    for frame in frames:
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or found != format_now:
            if resampler is not None:
                yield from (out.to_ndarray()[0] for out in resampler.resample(None))
            resampler, format_now = av.AudioResampler(format="s32", layout="mono", rate=rate), found
        yield from (out.to_ndarray()[0] for out in resampler.resample(frame))
    if resampler is not None:
        yield from (out.to_ndarray()[0] for out in resampler.resample(None))


def gray_frames(clip: Path, fps: float, width: int) -> Iterator[NDArray[np.uint8]]:
    """The frames of `timed_frames` without their times."""
    return (frame for _, frame in timed_frames(clip, fps, width))


def timed_frames(
    clip: Path, fps: float, width: int, most_seconds: float = MAX_SECONDS
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Frames of the best video track, `fps` a second of clip time, upright, in gray and no wider than `width`.

    Yields:
        Seconds from the first frame, and uint8 of shape (height, width), aspect ratio kept.

    Raises:
        MediaError: the file can't be decoded, has no video track, no frame in it, or lasts longer than `most_seconds`.
    """
    with _opened(clip) as container:
        stream = _best(_video_streams(container), "video")
        rate = float(stream.average_rate or GUESSED_RATE)
        first = due = None
        number = -1
        for number, frame in enumerate(container.decode(stream)):
            time = frame.time if frame.time is not None else number / rate
            if first is None or due is None:
                first = due = time
            if time - first > most_seconds:
                raise MediaError(f"longer than {most_seconds:g} s; cut it into utterances")
            if time < due - 1e-6:
                continue
            due = max(due + 1 / fps, time)
            yield time - first, _gray(frame, width)
        if number + 1 < stream.frames * LEAST_SHARE:
            raise MediaError(f"cut short: {number + 1} of {stream.frames} frames")
    if due is None:
        raise MediaError("video track without frames")


def middle_frame(clip: Path, width: int) -> NDArray[np.uint8]:
    """The frame in the middle of the best video track, upright, in colour and no wider than `width`.

    Returns:
        uint8 of shape (height, width, 3), blue, green, red, as OpenCV has them; aspect ratio kept.

    Raises:
        MediaError: the file can't be decoded, has no video track or no frame in it.
    """
    with _opened(clip) as container:
        stream = _best(_video_streams(container), "video")
        middle = min((container.duration or 0) / av.time_base, MAX_SECONDS) / 2
        shown = None
        for number, frame in enumerate(container.decode(stream)):
            shown = frame
            if (frame.time if frame.time is not None else number / GUESSED_RATE) >= middle:
                break
        if shown is None:
            raise MediaError("video track without frames")
        turned = np.rot90(shown.to_ndarray(format="bgr24"), round(shown.rotation / 90) % 4)
    picture = np.ascontiguousarray(turned, dtype=np.uint8)
    if picture.shape[1] <= width:
        return picture
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def gray_picture(data: bytes, width: int) -> NDArray[np.uint8]:
    """A still picture, such as a JPEG, in gray and no wider than `width`.

    Raises:
        MediaError: it can't be decoded.
    """
    try:
        gray = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        gray = None
    if gray is None:
        raise MediaError("picture can't be decoded")
    if gray.shape[1] > width:
        size = width, max(1, round(gray.shape[0] * width / gray.shape[1]))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return gray.astype(np.uint8, copy=False)


def _gray(frame: av.VideoFrame, width: int) -> NDArray[np.uint8]:
    """A frame as it is meant to be seen: black 0, white 255, turned as its display matrix says."""
    turns = round(frame.rotation / 90) % 4  # quarters, counterclockwise
    gray, full = _brightness(frame)
    shown = gray.shape[turns % 2 - 1]
    if shown > width:
        size = [max(1, round(side * width / shown)) for side in gray.shape]
        gray = cv2.resize(gray, (size[1], size[0]), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    if not full:
        gray = cv2.LUT(gray, FULL_RANGE).astype(np.uint8, copy=False)
    return np.ascontiguousarray(np.rot90(gray, turns))


def _brightness(frame: av.VideoFrame) -> tuple[NDArray[np.uint8], bool]:
    """The brightness of each pixel, and whether it uses the full range; nothing is copied where the frame has it."""
    name = frame.format.name
    if name not in LUMA_FIRST:
        return frame.to_ndarray(format="gray").astype(np.uint8, copy=False), True
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    full = frame.color_range == JPEG_RANGE or name == "gray" or name.startswith("yuvj")
    return rows[: frame.height, : frame.width], full
