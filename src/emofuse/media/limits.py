"""How large a clip may be, checked before anything of it is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet

from emofuse.core.errors import MediaError
from emofuse.core.reasons import Reason
from emofuse.media.decode import claimed_seconds, open_clip, video_streams


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
    with open_clip(clip) as container:
        videos = video_streams(container)
        if not videos and not container.streams.audio:
            raise MediaError(Reason.NO_TRACK)
        _within("tracks", len(container.streams), bounds.streams)
        for stream in videos:
            if stream.codec_context is not None:
                _within("pixels a frame", stream.codec_context.width * stream.codec_context.height, bounds.pixels)
            _within("frames", stream.frames, bounds.frames)
        _within("seconds", claimed_seconds(container) or 0, bounds.seconds)
        _check_packets(container, bounds)


def _check_packets(container: InputContainer, bounds: Bounds) -> None:
    counts = [0] * len(container.streams)
    first: float | None = None
    for packet in _packets(container):
        if packet.size == 0 or packet.is_discard:
            continue
        if packet.stream.type == "video":
            counts[packet.stream_index] += 1
            _within("frames", counts[packet.stream_index], bounds.frames)
        if packet.pts is not None and packet.stream.type in ("video", "audio"):
            time = float(packet.pts * packet.time_base)
            first = time if first is None else min(first, time)
            _within("seconds", time - first, bounds.seconds)


def _packets(container: InputContainer) -> Iterator[Packet[Any]]:
    """The packets up to where the file is damaged: what comes before may be of use."""
    with suppress(FFmpegError):
        yield from container.demux()


def _within(what: str, count: float, most: float) -> None:
    if count > most:
        raise MediaError(Reason.OVER_LIMIT, f"{count:g} {what}, expected at most {most:g}")
