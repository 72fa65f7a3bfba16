"""The spectrum of a sound and its measures, by librosa's definitions.

librosa itself compiles its kernels for the processor that it is first used on: half a minute before the first clip, and
code whose rounding that processor decides. A test holds each function here to librosa's to the bit.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float32]
MELS = 128  # bands
LINEAR_STEP = 200 / 3  # Hz a mel below the corner (Slaney, Auditory Toolbox, 1998)
CORNER = 1000.0  # Hz: mels are logarithmic above
LOG_STEP = np.log(6.4) / 27.0
QUIET = 1e-10  # power, and amplitude, that counts as none
RANGE = 80.0  # dB below the loudest that are told apart


def frames(samples: Array, frame: int, hop: int, mode: str = "constant") -> Array:
    """A sound cut to frames, the first centred on its start; shape (t, frame).

    Args:
        samples: shape (samples,).
        frame: samples a frame.
        hop: samples from a frame to the next.
        mode: what stands before the start and after the end, in np.pad's words.
    """
    padded = np.pad(samples, frame // 2, mode=mode)  # type: ignore[call-overload]
    cut: Array = sliding_window_view(padded, frame)[::hop]
    return cut


def magnitudes(samples: Array, frame: int, hop: int) -> Array:
    """Magnitudes of the short-time Fourier transform under a Hann window, shape (frame / 2 + 1, t)."""
    spectrum = np.fft.rfft(hann(frame) * frames(samples, frame, hop), axis=1).astype(np.complex64)
    result: Array = np.abs(spectrum.T)
    return result


@cache
def hann(frame: int) -> NDArray[np.float64]:
    """The periodic Hann window, shape (frame,), as scipy.signal has it, which loads half of scipy."""
    window: NDArray[np.float64] = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, frame + 1)[:-1])
    return window


@cache
def mel_filters(rate: int, frame: int) -> Array:
    """Triangular filters on Slaney's mel scale, each of unit area in Hz; shape (MELS, frame / 2 + 1)."""
    top = (CORNER / LINEAR_STEP) + np.log(rate / 2 / CORNER) / LOG_STEP
    mels = np.linspace(0.0, top, MELS + 2)
    logarithmic = mels >= CORNER / LINEAR_STEP
    edges = LINEAR_STEP * mels
    edges[logarithmic] = CORNER * np.exp(LOG_STEP * (mels[logarithmic] - CORNER / LINEAR_STEP))
    ramps = np.subtract.outer(edges, np.fft.rfftfreq(frame, 1 / rate))
    steps = np.diff(edges)
    rising, falling = -ramps[:-2] / steps[:-1, None], ramps[2:] / steps[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    weights *= (2.0 / (edges[2:] - edges[:-2]))[:, np.newaxis]
    filters: Array = weights
    return filters


def mfcc(mel_power: Array, count: int) -> Array:
    """The first mel-frequency cepstral coefficients of powers of shape (MELS, t); shape (count, t)."""
    decibels = 10.0 * np.log10(np.maximum(QUIET, mel_power))
    decibels = np.maximum(decibels, decibels.max() - RANGE)
    result: Array = scipy.fft.dct(decibels, axis=0, type=2, norm="ortho")[:count]
    return result


def zero_crossing_rate(samples: Array, frame: int, hop: int) -> NDArray[Any]:
    """Share of the samples of each frame at which the sign changes, shape (1, t); next to nothing is positive."""
    cut = frames(samples, frame, hop, "edge")
    negative = (cut < 0) & (np.abs(cut) > QUIET)
    changes: NDArray[np.float64] = np.mean(np.diff(negative, axis=1, prepend=negative[:, :1]), axis=1)[None]
    return changes


def mean_frequency(magnitude: Array, rate: int, frame: int) -> NDArray[Any]:
    """Mean frequency in Hz, weighted by magnitudes of shape (frame / 2 + 1, t); shape (1, t)."""
    total = magnitude.astype(float).sum(axis=0, keepdims=True)
    total[total < np.finfo(np.float32).tiny] = 1
    shares = (magnitude / total).astype(np.float32)
    mean: NDArray[np.float64] = (np.fft.rfftfreq(frame, 1 / rate)[:, None] * shares).sum(axis=0, keepdims=True)
    return mean
