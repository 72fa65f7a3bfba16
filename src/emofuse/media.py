"""The only place that opens a clip: probing, sound samples and gray frames, all by PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from emofuse.errors import MediaError


@contextmanager
def _opened(clip: Path) -> Iterator[InputContainer]:
    if not clip.is_file():
        raise MediaError("file not found")
    if clip.stat().st_size == 0:
        raise MediaError("file is empty")
    try:
        # metadata_errors: real files carry tags in broken encodings, which are not what we came for.
        with av.open(str(clip), metadata_errors="ignore") as container:
            yield container
    except FFmpegError as error:
        raise MediaError(f"can't be decoded: {error.strerror}") from None


def probe_streams(clip: Path) -> None:
    """Check that a file opens as a clip.

    Raises:
        MediaError: the file is missing, empty, no clip, or has neither a video nor a sound track.
    """
    with _opened(clip) as container:
        if not container.streams.video and not container.streams.audio:
            raise MediaError("no video or sound track")


def probe_duration(clip: Path) -> float:
    """Length of a clip in seconds, from its header.

    Raises:
        MediaError: the file is missing, empty, or no clip, or its header gives no length.
    """
    with _opened(clip) as container:
        lengths = [float(s.duration * s.time_base) for s in container.streams if s.duration and s.time_base]
        if container.duration:
            lengths.append(container.duration / av.time_base)
        if not lengths:
            raise MediaError("header gives no length")
        return max(lengths)


def audio_samples(clip: Path, sample_rate: int) -> NDArray[np.float32]:
    """The first sound track, mixed to mono.

    Args:
        clip: any file that FFmpeg reads.
        sample_rate: wanted rate in Hz.

    Returns:
        float32 of shape (samples,), in [-1, 1].

    Raises:
        MediaError: the file can't be decoded, has no sound track, or no samples in it.
    """
    with _opened(clip) as container:
        if not container.streams.audio:
            raise MediaError("no sound track")
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout="mono", rate=sample_rate)
        parts = [out.to_ndarray()[0] for frame in container.decode(stream) for out in resampler.resample(frame)]
        if parts:
            parts.extend(out.to_ndarray()[0] for out in resampler.resample(None))
    if not parts:
        raise MediaError("sound track without samples")
    return np.concatenate(parts)


def gray_frames(clip: Path, fps: float, width: int) -> Iterator[NDArray[np.uint8]]:
    """Frames of the first video track, `fps` a second of clip time, in gray and no wider than `width`.

    Yields:
        uint8 of shape (height, width), aspect ratio kept.

    Raises:
        MediaError: the file can't be decoded, has no video track, or no frame in it.
    """
    with _opened(clip) as container:
        if not container.streams.video:
            raise MediaError("no video track")
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1  # one process a core does better than threads within one
        due = None
        for frame in container.decode(stream):
            time = frame.time if frame.time is not None else 0.0
            if due is None:
                due = time
            if time < due - 1e-6:
                continue
            due = max(due + 1 / fps, time)
            yield _gray(frame, width)
    if due is None:
        raise MediaError("video track without frames")


def _gray(frame: av.VideoFrame, width: int) -> NDArray[np.uint8]:
    gray = frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
    if gray.shape[1] > width:
        height = max(1, round(gray.shape[0] * width / gray.shape[1]))
        gray = cv2.resize(gray, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return gray
