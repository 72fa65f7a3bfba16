"""Clips that lie or are broken: truncated, bit-flipped, spliced, with false durations, sizes and too many tracks."""

from __future__ import annotations

import random
import struct
from functools import cache

import av
import numpy as np


def mutated(clip: bytes, chance: random.Random) -> bytes:
    """A clip made worse in one of seven ways; the same random state gives the same clip."""
    return chance.choice([_cut, _flipped, _spliced, _long, _large, _crowded, _noise])(clip, chance)


def _cut(clip: bytes, chance: random.Random) -> bytes:
    return clip[: chance.randrange(len(clip))]


def _flipped(clip: bytes, chance: random.Random) -> bytes:
    changed = bytearray(clip)
    for _ in range(chance.choice([1, 8, 64, 512])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _spliced(clip: bytes, chance: random.Random) -> bytes:
    place, size = chance.randrange(len(clip)), chance.randrange(1, 4096)
    return clip[:place] + chance.randbytes(size) + clip[place + chance.choice([0, size]) :]


def _long(clip: bytes, _: random.Random) -> bytes:
    """The movie header claims ten hours."""
    place = clip.find(b"mvhd")
    if place < 0:
        return clip
    (scale,) = struct.unpack(">I", clip[place + 16 : place + 20])
    return clip[: place + 20] + struct.pack(">I", scale * 36000) + clip[place + 24 :]


def _large(clip: bytes, _: random.Random) -> bytes:
    """The sample description claims frames of 30,000 x 30,000 pixels."""
    place = clip.find(b"avc1", clip.find(b"stsd"))
    return clip if place < 0 else clip[: place + 28] + struct.pack(">HH", 30000, 30000) + clip[place + 32 :]


def _crowded(_: bytes, chance: random.Random) -> bytes:
    return _tracks(chance.choice([9, 64]))


@cache
def _tracks(count: int) -> bytes:
    import io

    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as container:
        streams = [container.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(count)]
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
    return target.getvalue()


def _noise(_: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 100_000))
