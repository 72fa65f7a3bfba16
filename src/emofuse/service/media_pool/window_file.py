"""Windows of a long video on their way from the worker that cuts it to the one that extracts: files, uncompressed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from emofuse.media.clip import MemoryClip
from emofuse.media.windows import Look

MILLISECOND = Fraction(1, 1000)


def write_window(path: Path, clip: MemoryClip, look: Look) -> None:
    """Write a window's frames and samples, uncompressed."""
    with av.open(str(path), "w", format="nut") as container:
        picture = sound = None
        if clip.shots:
            picture = container.add_stream("rawvideo", rate=max(1, round(look.fps)))
            picture.pix_fmt, picture.codec_context.time_base = "gray", MILLISECOND
            picture.height, picture.width = clip.shots[0][1].shape
        if len(clip.samples):
            sound = container.add_stream("pcm_s32le", rate=clip.rate, layout="mono")
        for time, image in clip.shots:
            assert picture is not None
            frame = av.VideoFrame.from_ndarray(image, format="gray")
            frame.pts, frame.time_base = round(time * 1000), MILLISECOND
            container.mux(picture.encode(frame))
        if sound is not None:
            part = av.AudioFrame.from_ndarray(clip.samples[None], format="s32", layout="mono")
            part.sample_rate, part.pts, part.time_base = clip.rate, 0, Fraction(1, clip.rate)
            container.mux(sound.encode(part))
        for stream in (picture, sound):
            if stream is not None:
                container.mux(stream.encode())
