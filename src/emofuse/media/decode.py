"""The only place that opens a clip: probing, sound samples and gray frames, all by PyAV."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

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
LEAST_SHARE = 0.9  # of what the header claims; a decoder may leave a few frames out at an edit
LEAST_SECONDS = 0.1  # of sound that may be missing; a frame lasts so long
NEAR = 0.05  # seconds by which encoders pad and containers round
BACK = 1.0  # seconds by which times jump back where a stream begins anew
UNSAID = 2**31 - 2**16  # bytes; from here on the size in the header of a WAV stands for none, as that of sox's pipes
# Formats whose header says how long a track is; that of others is guessed from the rate of their bytes.
WITH_HEADER = ("mov,", "matroska", "avi", "wav", "w64", "flac")
Stream = TypeVar("Stream", AudioStream, VideoStream)


@contextmanager
def open_clip(clip: Path) -> Iterator[InputContainer]:
    """Open a clip for reading.

    Raises:
        MediaError: the file is missing or empty, or, then or later, can't be decoded.
    """
    try:
        if not clip.is_file():
            raise MediaError(Reason.NOT_FOUND)
        if clip.stat().st_size == 0:
            raise MediaError(Reason.EMPTY)
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


def sound_frames(clip: Path, most_seconds: float = MAX_SECONDS) -> Iterator[tuple[float, av.AudioFrame]]:
    """The decoded frames of the best sound track, each with the seconds of silence before it.

    Every sample stands at its timestamp, by the clock of the clip.

    Raises:
        MediaError: the file can't be decoded, has no sound track, no sample in it, or lasts longer than `most_seconds`;
            or, after the frames before, the track is damaged.
    """
    with open_clip(clip) as container:
        stream = best_stream(container.streams.audio, "sound")
        clock = _Clock(container)
        heard = 0.0  # seconds, with the silence between
        for frame in _whole_frames(container, stream, clock):
            gap = max(0.0, clock.now - heard)
            gap = gap if gap > NEAR else 0.0
            heard += gap + frame.samples / frame.sample_rate
            if heard > most_seconds:
                raise MediaError(Reason.TOO_LONG, f"{most_seconds:g}")
            yield gap, frame
            clock.done(heard)
    if not heard:
        raise MediaError(Reason.NO_SAMPLES)


def timed_frames(
    clip: Path, fps: float, width: int, most_seconds: float = MAX_SECONDS
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Frames of the best video track, `fps` a second of clip time, upright, in gray and no wider than `width`.

    Yields:
        Seconds by the clock of the clip, and uint8 of shape (height, width), aspect ratio kept.

    Raises:
        MediaError: the file can't be decoded, has no video track, no frame in it, or lasts longer than `most_seconds`;
            or, after the frames before, the track is damaged.
    """
    with open_clip(clip) as container:
        stream = best_stream(video_streams(container), "video")
        clock = _Clock(container)
        due: float | None = None
        for frame in _whole_frames(container, stream, clock):
            if clock.now > most_seconds:
                raise MediaError(Reason.TOO_LONG, f"{most_seconds:g}")
            if due is None or clock.now >= due - 1e-6:
                due = clock.now + 1 / fps if due is None else max(due + 1 / fps, clock.now)
                yield clock.now, gray(frame, width)
    if due is None:
        raise MediaError(Reason.NO_FRAMES)


class _Clock:
    """Seconds from a clip's start, which is that of its first track.

    Tracks that start nearly together start together: encoders pad sound, and containers round. Where times jump back,
    as in streams put end to end, they go on from where they were.
    """

    def __init__(self, container: InputContainer) -> None:
        tracks = [*video_streams(container), *container.streams.audio]
        starts = [float(s.start_time * s.time_base) for s in tracks if s.start_time is not None and s.time_base]
        self._start = min(starts, default=0.0)
        self._base: float | None = None  # the timestamp of the clip's start
        self._least = 0.0  # what comes next isn't earlier than this
        self.now = self.first = 0.0

    def read(self, time: float) -> None:
        """Take the timestamp of the frame at hand, in seconds."""
        if self._base is None:
            self._base = self._start if time - self._start > NEAR else time
            self.first = time - self._base
        if time - self._base < self._least - BACK:
            self._base = time - self._least
        self.now = time - self._base
        self._least = self.now

    def done(self, time: float) -> None:
        """Say where the frame at hand ends; without it, where it starts."""
        self._least = time


def _whole_frames(container: InputContainer, stream: VideoStream | AudioStream, clock: _Clock) -> Iterator[Any]:
    """The frames of a track until it ends or the first that is damaged.

    Raises:
        MediaError: the track is damaged, or ends before its time; this comes after the frames before.
    """
    rate = float(stream.average_rate or GUESSED_RATE) if isinstance(stream, VideoStream) else stream.sample_rate
    tracks = [*video_streams(container), *container.streams.audio]
    ticks = {track.index: float(track.time_base or 0) for track in tracks}  # seconds; fractions take long to multiply
    count = 0
    furthest = 0.0  # of all tracks, seconds
    try:
        for packet in container.demux(tracks):
            number = packet.stream.index
            if packet.pts is not None:
                furthest = max(furthest, (packet.pts + (packet.duration or 0)) * ticks[number])
            if number != stream.index:
                continue
            for frame in stream.decode(packet):
                if frame.is_corrupt and not count:
                    continue  # what comes before the first whole picture
                if frame.is_corrupt:
                    raise MediaError(Reason.DAMAGED, f"{clock.now:.1f}")
                clock.read(frame.time if frame.time is not None else count / rate)
                count += 1
                yield frame
    except FFmpegError:
        if not count:
            raise
        raise MediaError(Reason.DAMAGED, f"{clock.now:.1f}") from None
    if count and _cut_short(container, stream, count, clock.now - clock.first, furthest):
        raise MediaError(Reason.DAMAGED, f"{clock.now:.1f}")


def _cut_short(
    container: InputContainer, stream: VideoStream | AudioStream, count: int, seconds: float, furthest: float
) -> bool:
    """Whether a track holds less than its header says, as files do whose copying broke off."""
    if not container.format.name.startswith(WITH_HEADER):
        return False
    if container.format.name == "wav" and container.size < LEAST_SHARE * _wav_bytes(Path(container.name)):
        return True
    if isinstance(stream, VideoStream) and stream.frames:
        hidden = sum(entry.is_discard for entry in stream.index_entries)  # by an edit list
        return count < LEAST_SHARE * (stream.frames - hidden)
    if stream.duration and stream.time_base:
        return seconds < LEAST_SHARE * float(stream.duration * stream.time_base) - LEAST_SECONDS
    return furthest < LEAST_SHARE * (container.duration or 0) / av.time_base


def _wav_bytes(clip: Path) -> int:
    """How many bytes a WAV has by its header, where FFmpeg takes what there is; 0 where that doesn't say."""
    with clip.open("rb") as file:
        kind, size = struct.unpack("<4sI", file.read(8))
    # Who writes to a pipe, or more than 4 GB (RF64), puts one of the largest numbers there.
    return size + 8 if kind == b"RIFF" and size < UNSAID else 0


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
        clock = _Clock(container)
        shown: av.VideoFrame | None = None
        with suppress(MediaError):  # a damaged clip is shown as far as it goes
            for frame in _whole_frames(container, stream, clock):
                shown = frame
                if clock.now >= middle:
                    break
        if shown is None:
            raise MediaError(Reason.NO_FRAMES)
        turned = np.rot90(shown.to_ndarray(format="bgr24"), round(shown.rotation / 90) % 4)
    return narrowed(np.ascontiguousarray(turned, dtype=np.uint8), width)
