"""Decoded sound as one channel at one rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import av
import numpy as np
from numpy.typing import NDArray


def as_mono(frames: Iterable[av.AudioFrame], rate: int) -> Iterator[NDArray[np.int32]]:
    """Frames as mono at `rate` Hz, int32 of shape (samples,), a part at a time.

    Each change of format within the track starts a new resampler. Integers make FFmpeg keep the mix of several channels
    within the range; floats would leave it.
    """
    resampler: av.AudioResampler | None = None
    format_now = None
    for frame in frames:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or form != format_now:
            if resampler is not None:
                yield from (out.to_ndarray()[0] for out in resampler.resample(None))
            resampler, format_now = av.AudioResampler(format="s32", layout="mono", rate=rate), form
        yield from (out.to_ndarray()[0] for out in resampler.resample(frame))
    if resampler is not None:
        yield from (out.to_ndarray()[0] for out in resampler.resample(None))
