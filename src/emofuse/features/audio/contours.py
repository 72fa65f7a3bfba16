"""Contours of a sound: what its spectrum is like from frame to frame.

Contours are over the t frames of the clip or over the s frames with speech, as their shapes say.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emofuse.features.audio import spectrum
from emofuse.features.audio.sound import FAINT, Sound

Array = NDArray[np.float32]
DELTA_REACH = 4  # frames to either side
ROLLOFF_SHARES = (0.25, 0.5, 0.85, 0.95)
ROLLOFFS = [f"rolloff{round(100 * share)}" for share in ROLLOFF_SHARES]
TILTS = ["alpha_ratio", "hammarberg", "slope_500", "slope_1500", "slope_4000"]
SLOPES = ((0, 500), (500, 1500), (0, 4000))  # Hz
LOWEST_OCTAVE = 125.0  # Hz
EXTREME = 0.02  # share of an octave's frequencies


def zcr(sound: Sound) -> Array:
    """Share of samples at which the sign changes, shape (1, t)."""
    return spectrum.zero_crossing_rate(sound.samples, sound.frame, sound.hop)


def centroid(sound: Sound) -> Array:
    """Mean frequency weighted by magnitude in Hz, shape (1, t)."""
    return spectrum.mean_frequency(sound.magnitude, sound.rate, sound.frame)


def mfcc_delta(sound: Sound) -> Array:
    """Change of the MFCC a frame, the slope of the line that fits best round each frame, shape (n_mfcc, t)."""
    steps = range(1, DELTA_REACH + 1)
    padded = np.pad(sound.mfcc, ((0, 0), (DELTA_REACH, DELTA_REACH)), mode="edge")
    frames = np.arange(sound.mfcc.shape[1]) + DELTA_REACH
    rises = np.stack([step * (padded[:, frames + step] - padded[:, frames - step]) for step in steps])
    slope: Array = rises.sum(axis=0) / np.float32(2 * sum(step**2 for step in steps))
    return slope


def rolloff(sound: Sound) -> Array:
    """Frequencies in Hz below which so much of the power lies, shape (4, s)."""
    below = np.cumsum(sound.speech_power, axis=0)
    rows = [(below >= share * below[-1]).argmax(axis=0) for share in ROLLOFF_SHARES]
    frequencies: Array = (np.stack(rows) * sound.rate / sound.frame).astype(np.float32)
    return frequencies


def flatness(sound: Sound) -> Array:
    """Geometric over arithmetic mean of the power in dB, shape (1, s)."""
    mean = 10 * np.log10(np.maximum(sound.speech_power.mean(axis=0), FAINT))
    level: Array = (sound.decibels.mean(axis=0) - mean)[None]
    return level


def flux(sound: Sound) -> Array:
    """Distance of each frame's normalised magnitudes from those of the frame before, shape (1, t)."""
    shape = sound.magnitude / np.maximum(sound.magnitude.sum(axis=0), FAINT)
    change = np.diff(shape, axis=1)
    distance: Array = np.sqrt(np.einsum("ft,ft->t", change, change))
    return np.concatenate([distance[:1], distance])[None]  # the first frame has none before it: it takes the second's


def _octaves(rate: int) -> list[tuple[float, float]]:
    """Up from `LOWEST_OCTAVE`, before it all that is lower, the last up to the highest frequency."""
    count = int(math.log2(rate / 2 / LOWEST_OCTAVE))
    edges = [0.0, *(LOWEST_OCTAVE * 2**number for number in range(count)), rate / 2 + 1]
    return list(pairwise(edges))


def contrast_names(rate: int) -> list[str]:
    """Names of `contrast`'s rows."""
    return [f"contrast{number}" for number in range(len(_octaves(rate)))]


def contrast(sound: Sound) -> Array:
    """Level of the loudest less that of the faintest frequencies of each octave in dB, shape (octaves, s)."""
    rows = []
    for low, high in _octaves(sound.rate):
        band = np.sort(sound.decibels[sound.rows(low, high)], axis=0)
        count = max(1, round(EXTREME * len(band)))
        rows.append(band[-count:].mean(axis=0) - band[:count].mean(axis=0))
    return np.stack(rows)


def tilt(sound: Sound) -> Array:
    """How the power falls towards high frequencies: `TILTS` in dB and dB/kHz, shape (5, s)."""
    rows = sound.rows
    low, high = sound.speech_power[rows(0, 1000)].sum(axis=0), sound.speech_power[rows(1000, 5000)].sum(axis=0)
    alpha = 10 * np.log10(np.maximum(low, FAINT) / np.maximum(high, FAINT))
    peak = sound.decibels[rows(0, 2000)].max(axis=0) - sound.decibels[rows(2000, 5000)].max(axis=0)
    slopes = []
    for first, last in SLOPES:
        band = sound.decibels[rows(first, last)]
        kilohertz = (np.arange(len(band)) - (len(band) - 1) / 2).astype(np.float32) * sound.rate / sound.frame / 1000
        slopes.append(kilohertz @ band / (kilohertz @ kilohertz))
    return np.stack([alpha, peak, *slopes])
