"""Contours of a sound: what its spectrum is like from frame to frame."""

from __future__ import annotations

import math
from itertools import pairwise

import librosa
import numpy as np
from numpy.typing import NDArray

from emofuse.features.sound import FAINT, Sound

Array = NDArray[np.float32]
DELTA_WIDTH = 9  # frames
ROLLOFF_SHARES = (0.25, 0.5, 0.85, 0.95)
ROLLOFFS = [f"rolloff{round(100 * share)}" for share in ROLLOFF_SHARES]
TILTS = ["alpha_ratio", "hammarberg", "slope_500", "slope_1500", "slope_4000"]
SLOPES = ((0, 500), (500, 1500), (0, 4000))  # Hz
LOWEST_OCTAVE = 125.0  # Hz
EXTREME = 0.02  # share of an octave's frequencies


def zcr(sound: Sound) -> Array:
    """Share of samples at which the sign changes, shape (1, t)."""
    found: Array = librosa.feature.zero_crossing_rate(sound.samples, frame_length=sound.frame, hop_length=sound.hop)
    return found


def centroid(sound: Sound) -> Array:
    """Mean frequency weighted by magnitude in Hz, shape (1, t)."""
    found: Array = librosa.feature.spectral_centroid(S=sound.magnitude, sr=sound.rate, n_fft=sound.frame)
    return found


def mfcc_delta(sound: Sound) -> Array:
    """Change of the MFCC a frame, shape (n_mfcc, t)."""
    frames = sound.mfcc.shape[1]
    width = min(DELTA_WIDTH, frames - 1 + frames % 2)  # an odd number, no more than there are
    found: Array = librosa.feature.delta(sound.mfcc, width=width) if width >= 3 else np.zeros_like(sound.mfcc)
    return found


def rolloff(sound: Sound) -> Array:
    """Frequencies in Hz below which so much of the power lies, shape (4, t)."""
    below = np.cumsum(sound.power, axis=0)
    rows = [(below < share * below[-1]).sum(axis=0) for share in ROLLOFF_SHARES]
    found: Array = (np.stack(rows) * sound.rate / sound.frame).astype(np.float32)
    return found


def flatness(sound: Sound) -> Array:
    """Geometric over arithmetic mean of the power in dB, shape (1, t)."""
    mean = 10 * np.log10(np.maximum(sound.power.mean(axis=0), FAINT))
    found: Array = (sound.decibels.mean(axis=0) - mean)[None]
    return found


def flux(sound: Sound) -> Array:
    """Distance of each frame's normalised magnitudes from those of the frame before, shape (1, t)."""
    shape = sound.magnitude / np.maximum(sound.magnitude.sum(axis=0), FAINT)
    change = np.diff(shape, axis=1)
    found: Array = np.sqrt(np.einsum("ft,ft->t", change, change))[None, [0, *range(change.shape[1])]]
    return found  # the first frame has none before it, and is given that of the second


def _octaves(rate: int) -> list[tuple[float, float]]:
    """Up from `LOWEST_OCTAVE`, before it all that is lower, the last up to the highest frequency."""
    count = int(math.log2(rate / 2 / LOWEST_OCTAVE))
    edges = [0.0, *(LOWEST_OCTAVE * 2**number for number in range(count)), rate / 2 + 1]
    return list(pairwise(edges))


def contrast_names(rate: int) -> list[str]:
    """Names of `contrast`'s rows."""
    return [f"contrast{number}" for number in range(len(_octaves(rate)))]


def contrast(sound: Sound) -> Array:
    """Level of the loudest less that of the faintest frequencies of each octave in dB, shape (octaves, t)."""
    rows = []
    for low, high in _octaves(sound.rate):
        band = np.sort(sound.decibels[(sound.frequencies >= low) & (sound.frequencies < high)], axis=0)
        count = max(1, round(EXTREME * len(band)))
        rows.append(band[-count:].mean(axis=0) - band[:count].mean(axis=0))
    return np.stack(rows)


def tilt(sound: Sound) -> Array:
    """How the power falls towards high frequencies: `TILTS` in dB and dB/kHz, shape (5, t)."""
    at = sound.frequencies
    low, high = sound.power[at < 1000].sum(axis=0), sound.power[(at >= 1000) & (at < 5000)].sum(axis=0)
    alpha = 10 * np.log10(np.maximum(low, FAINT) / np.maximum(high, FAINT))
    peak = sound.decibels[at < 2000].max(axis=0) - sound.decibels[(at >= 2000) & (at < 5000)].max(axis=0)
    slopes = []
    for first, last in SLOPES:
        band = (at >= first) & (at < last)
        kilohertz = ((at[band] - at[band].mean()) / 1000).astype(np.float32)
        slopes.append(kilohertz @ sound.decibels[band] / (kilohertz @ kilohertz))
    return np.stack([alpha, peak, *slopes])
