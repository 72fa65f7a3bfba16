"""The only place that opens a clip: probing, sound samples and gray frames, all by PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.reasons import Reason
from emofuse.media.pictures import gray, narrowed

MAX_SECONDS = 600  # an utterance lasts seconds; what lasts longer is an uncut film, which would fill the memory
GUESSED_RATE = 25  # frames a second of a video that says neither when a frame is due nor how fast it runs
LEAST_SHARE = 0.9  # of the frames that the header counts; a decoder may leave a few out at an edit
Stream = TypeVar("Stream", AudioStream, VideoStream)


@contextmanager
def open_clip(clip: Path) -> Iterator[InputContainer]:
    """Open a clip for reading.

    Raises:
        MediaError: the file is missing or empty, or, then or later, can't be decoded.
    """
    if not clip.is_file():
        raise MediaError(Reason.NOT_FOUND)
    if clip.stat().st_size == 0:
        raise MediaError(Reason.EMPTY)
    try:
        # metadata_errors: real files carry tags in broken encodings, which are not what we came for.
        # A clip may name other files or addresses (playlists do); none but itself is opened.
        with av.open(str(clip), metadata_errors="ignore", options={"protocol_whitelist": "file"}) as container:
            yield container
    except FFmpegError as error:
        raise MediaError(Reason.UNDECODABLE, error.strerror) from None
    except OSError as error:
        raise MediaError(Reason.UNREADABLE, error.strerror) from None


def video_streams(container: InputContainer) -> list[VideoStream]:
    """The video tracks; a cover picture is stored like one, but is none."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def best_stream(streams: Sequence[Stream], kind: str) -> Stream:
    """The track that a player would choose: the default one, else the first."""
    if not streams:
        raise MediaError(Reason.NO_VIDEO if kind == "video" else Reason.NO_SOUND)
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if not decodable:
        raise MediaError(Reason.UNKNOWN_CODEC, kind)
    best = max(decodable, key=lambda stream: bool(stream.disposition & Disposition.default))
    best.codec_context.thread_count = 1  # one process a core does better than threads within one
    return best


def probe_streams(clip: Path) -> None:
    """Check that a file opens as a clip.

    Raises:
        MediaError: the file is missing, empty, no clip, or has neither a video nor a sound track.
    """
    with open_clip(clip) as container:
        if not video_streams(container) and not container.streams.audio:
            raise MediaError(Reason.NO_TRACK)


def probe_duration(clip: Path) -> float:
    """Length of a clip in seconds, from its header.

    Raises:
        MediaError: the file is missing, empty, or no clip, or its header gives no length.
    """
    with open_clip(clip) as container:
        length = claimed_seconds(container)
    if length is None:
        raise MediaError(Reason.NO_LENGTH)
    return length


def claimed_seconds(container: InputContainer) -> float | None:
    """How long a clip is by its header; None where that says nothing."""
    lengths = [float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base]
    if container.duration:
        lengths.append(container.duration / av.time_base)
    return max(lengths, default=None)


def sound_frames(clip: Path, most_seconds: float = MAX_SECONDS) -> Iterator[av.AudioFrame]:
    """The decoded frames of the best sound track.

    Raises:
        MediaError: the file can't be decoded, has no sound track, no sample in it, or lasts longer than `most_seconds`.
    """
    with open_clip(clip) as container:
        stream = best_stream(container.streams.audio, "sound")
        seconds = 0.0
        for frame in container.decode(stream):
            seconds += frame.samples / frame.sample_rate
            if seconds > most_seconds:
                raise MediaError(Reason.TOO_LONG, f"{most_seconds:g}")
            yield frame
    if not seconds:
        raise MediaError(Reason.NO_SAMPLES)


def timed_frames(
    clip: Path, fps: float, width: int, most_seconds: float = MAX_SECONDS
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Frames of the best video track, `fps` a second of clip time, upright, in gray and no wider than `width`.

    Yields:
        Seconds from the first frame, and uint8 of shape (height, width), aspect ratio kept.

    Raises:
        MediaError: the file can't be decoded, has no video track, no frame in it, or lasts longer than `most_seconds`.
    """
    with open_clip(clip) as container:
        stream = best_stream(video_streams(container), "video")
        rate = float(stream.average_rate or GUESSED_RATE)
        first = due = None
        number = -1
        for number, frame in enumerate(container.decode(stream)):
            time = frame.time if frame.time is not None else number / rate
            if first is None or due is None:
                first = due = time
            if time - first > most_seconds:
                raise MediaError(Reason.TOO_LONG, f"{most_seconds:g}")
            if time < due - 1e-6:
                continue
            due = max(due + 1 / fps, time)
            yield time - first, gray(frame, width)
        if number + 1 < stream.frames * LEAST_SHARE:
            raise MediaError(Reason.DAMAGED, f"{time - (first or 0):.1f}")
    if due is None:
        raise MediaError(Reason.NO_FRAMES)


def middle_frame(clip: Path, width: int) -> NDArray[np.uint8]:
    """The frame in the middle of the best video track, upright, in colour and no wider than `width`.

    Returns:
        uint8 of shape (height, width, 3), blue, green, red, as OpenCV has them; aspect ratio kept.

    Raises:
        MediaError: the file can't be decoded, has no video track or no frame in it.
    """
    with open_clip(clip) as container:
        stream = best_stream(video_streams(container), "video")
        middle = min((container.duration or 0) / av.time_base, MAX_SECONDS) / 2
        shown = None
        for number, frame in enumerate(container.decode(stream)):
            shown = frame
            if (frame.time if frame.time is not None else number / GUESSED_RATE) >= middle:
                break
        if shown is None:
            raise MediaError(Reason.NO_FRAMES)
        turned = np.rot90(shown.to_ndarray(format="bgr24"), round(shown.rotation / 90) % 4)
    return narrowed(np.ascontiguousarray(turned, dtype=np.uint8), width)
