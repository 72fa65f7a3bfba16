"""Decoded sound as one channel at one rate, every sample at its time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Gapped = tuple[float, av.AudioFrame]  # seconds of silence before a frame, and the frame
MOST_CHANNELS = 8  # that FFmpeg can always mix
HEARD = 1e-4  # peak amplitude of a frame that isn't silent
ENOUGH = 1.0  # seconds of sound from which channels are judged
OPPOSED = 0.1  # of the power that channels would mix to if they had nothing to do with each other


def as_mono(frames: Iterable[Gapped], rate: int) -> Iterator[NDArray[np.int32]]:
    """Frames as mono at `rate` Hz, int32 of shape (samples,), a part at a time.

    Each gap, and each change of format within the track, starts a new resampler. Integers make FFmpeg keep the mix of
    several channels within the range; floats would leave it.
    """
    resampler: av.AudioResampler | None = None
    format_now = None
    for gap, frame in _mixable(frames):
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or form != format_now or gap:
            if resampler is not None:
                yield from (out.to_ndarray()[0] for out in resampler.resample(None))
            if gap:
                yield np.zeros(round(gap * rate), np.int32)
            resampler, format_now = av.AudioResampler(format="s32", layout="mono", rate=rate), form
        yield from (out.to_ndarray()[0] for out in resampler.resample(frame))
    if resampler is not None:
        yield from (out.to_ndarray()[0] for out in resampler.resample(None))


def _mixable(frames: Iterable[Gapped]) -> Iterator[Gapped]:
    """Frames that FFmpeg mixes to what is heard: what is no number is silence, opposed channels don't cancel out."""
    judge = _Judge()
    for gap, frame in frames:
        frame = _averaged(_finite(frame))
        if frame.layout.nb_channels == 1:
            yield from judge.release()
            yield gap, frame
        else:
            yield from judge.weigh(gap, frame)
    yield from judge.release()


@dataclass
class _Judge:
    """Chooses between the mix of channels and the loudest of them, by the first second that isn't silent.

    A microphone of which one wire is turned, or a stereo effect, gives channels whose mix is silence.
    """

    waiting: list[Gapped] = field(default_factory=list)
    seconds: float = 0.0
    power: NDArray[np.float64] | None = None  # of each channel
    mixed: float = 0.0
    layout: str = ""

    def weigh(self, gap: float, frame: av.AudioFrame) -> Iterator[Gapped]:
        """Take a frame; gives those that are judged."""
        if frame.layout.name != self.layout:
            yield from self.release()
            self.layout, self.seconds, self.power, self.mixed = frame.layout.name, 0.0, None, 0.0
        if self.seconds >= ENOUGH:
            yield gap, self._chosen(frame)
            return
        channels = _channels(frame)
        if not self.waiting and np.abs(channels).max(initial=0) < HEARD:
            yield gap, frame
            return
        self.waiting.append((gap, frame))
        self.seconds += frame.samples / frame.sample_rate
        power = np.einsum("ct,ct->c", channels, channels)
        self.power = power if self.power is None else self.power + power
        self.mixed += float(np.square(channels.mean(axis=0)).sum())
        if self.seconds >= ENOUGH:
            yield from self.release()

    def release(self) -> Iterator[Gapped]:
        """The frames that wait, judged by what there is."""
        for gap, frame in self.waiting:
            yield gap, self._chosen(frame)
        self.waiting = []

    def _chosen(self, frame: av.AudioFrame) -> av.AudioFrame:
        assert self.power is not None
        if self.mixed >= OPPOSED * float(self.power.sum()) / len(self.power) ** 2:
            return frame
        return _mono_frame(_channels(frame)[int(self.power.argmax())], frame)


def _finite(frame: av.AudioFrame) -> av.AudioFrame:
    """The frame with silence where a sample is no finite number."""
    if frame.format.name not in ("flt", "fltp", "dbl", "dblp"):
        return frame
    samples: NDArray[Any] = frame.to_ndarray()
    if np.isfinite(samples).all():
        return frame
    clean = np.nan_to_num(samples, nan=0, posinf=0, neginf=0)
    return _as_frame(clean, frame, frame.format.name, frame.layout.name)


def _averaged(frame: av.AudioFrame) -> av.AudioFrame:
    """The frame, or the mean of its channels where they are too many for FFmpeg."""
    return frame if frame.layout.nb_channels <= MOST_CHANNELS else _mono_frame(_channels(frame).mean(axis=0), frame)


def _channels(frame: av.AudioFrame) -> NDArray[np.float64]:
    """The samples in [-1, 1], of shape (channels, samples)."""
    samples: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    kind = samples.dtype
    values: NDArray[np.float64] = samples.astype(np.float64)
    if kind.kind == "f":
        return values
    return (values - 128) / 128 if kind.kind == "u" else values / 2.0 ** (8 * kind.itemsize - 1)


def _mono_frame(samples: NDArray[np.float64], like: av.AudioFrame) -> av.AudioFrame:
    return _as_frame(samples[None].astype(np.float32), like, "flt", "mono")


def _as_frame(samples: NDArray[np.float32], like: av.AudioFrame, form: str, layout: str) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples, format=form, layout=layout)
    frame.sample_rate = like.sample_rate
    return frame
