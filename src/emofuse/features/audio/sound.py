"""A sound in the forms that audio features are taken from, each computed once and only where it is needed."""

from __future__ import annotations

import math
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emofuse.features.audio import spectrum

FRAME_SECONDS = 0.064
HOP_SECONDS = 0.016
F0_RANGE = (65.0, 500.0)  # Hz: from a low man's voice to an excited child's
HIGHEST_HARMONIC = 2000.0  # Hz
OCTAVE_COST = 0.01  # of a lower pitch that fits as well (Boersma 1993)
VOICED = 0.5  # least correlation of a voiced frame with itself a period later
SPEECH_DECIBELS = 30.0  # frames within this of the loudest count as speech
FAINT = 1e-10  # power that a logarithm starts from
Array = NDArray[np.float32]


class Sound:
    """A mono sound, cut to t frames of 64 ms every 16 ms, the first centred on its start.

    Args:
        samples: float32 of shape (samples,), in [-1, 1]; at least one.
        rate: in Hz.
        n_mfcc: how many of them.
        assets: folder of a bundle that may hold the weights of voice activity.
    """

    def __init__(self, samples: Array, rate: int, n_mfcc: int, assets: Path | None = None) -> None:
        self.rate, self.n_mfcc, self.assets = rate, n_mfcc, assets
        self.frame, self.hop = round(FRAME_SECONDS * rate), round(HOP_SECONDS * rate)
        self.samples: Array = np.pad(samples, (0, max(0, self.frame - len(samples))))

    @property
    def step(self) -> float:
        """Seconds from frame to frame."""
        return self.hop / self.rate

    @cached_property
    def magnitude(self) -> Array:
        """Magnitudes of the short-time Fourier transform, shape (frame / 2 + 1, t)."""
        return spectrum.magnitudes(self.samples, self.frame, self.hop)

    @cached_property
    def power(self) -> Array:
        """Their squares."""
        return self.magnitude**2

    @cached_property
    def speech_power(self) -> Array:
        """The squares of the s frames with speech, shape (frame / 2 + 1, s)."""
        return self.power[:, self.speech]

    @cached_property
    def decibels(self) -> Array:
        """The same in dB."""
        decibels: Array = 10 * np.log10(np.maximum(self.speech_power, FAINT))
        return decibels

    def rows(self, low: float, high: float) -> slice:
        """The spectrum's rows from one frequency up to another, in Hz, the other left out."""
        return slice(*(math.ceil(frequency * self.frame / self.rate) for frequency in (low, high)))

    @cached_property
    def mfcc(self) -> Array:
        """Mel-frequency cepstral coefficients, shape (n_mfcc, t)."""
        return spectrum.mfcc(spectrum.mel_filters(self.rate, self.frame) @ self.power, self.n_mfcc)

    @cached_property
    def _frames(self) -> Array:
        return spectrum.frames(self.samples, self.frame, self.hop).T

    @cached_property
    def level(self) -> Array:
        """Loudness of each frame: its RMS in dB of full scale."""
        rms = np.einsum("ft,ft->t", self._frames, self._frames) / self.frame
        level: Array = 10 * np.log10(np.maximum(rms, FAINT))
        return level

    @cached_property
    def peaks(self) -> Array:
        """Greatest amplitude in each frame."""
        peaks: Array = np.abs(self._frames).max(axis=0)
        return peaks

    @cached_property
    def speech(self) -> NDArray[np.bool_]:
        """Which frames are loud enough to be speech; one at least."""
        speech: NDArray[np.bool_] = self.level >= self.level.max() - SPEECH_DECIBELS
        return speech

    @cached_property
    def _pitch(self) -> tuple[Array, Array]:
        """The period of each frame with speech in seconds, and its correlation with itself a period later.

        The autocorrelation, which is the inverse transform of the power spectrum, divided by that of the window
        (Boersma, IFA Proceedings 17, 1993). Frames are tapered, so what the transform wraps round is next to nothing.
        Harmonics above 2 kHz are left out, since they are weak, and lags are taken at four times that frequency, so
        that no peak falls between two of them.
        """
        highest = self.rows(0, HIGHEST_HARMONIC).stop
        size = 4 * highest  # samples of a frame at that rate
        rate = size * self.rate / self.frame
        power = self.speech_power[:highest].copy(order="F")
        power[self.rows(0, F0_RANGE[0] / 2)] = 0  # hum and offset
        shortest, longest = round(rate / F0_RANGE[1]), round(rate / F0_RANGE[0])
        acf = np.fft.irfft(power, size, axis=0)[: longest + 2]
        acf = acf / np.maximum(acf[0], FAINT) / _window_autocorrelation(size)[: longest + 2, None]
        left, middle, right = acf[shortest - 1 : longest], acf[shortest : longest + 1], acf[shortest + 1 :]
        bend = np.minimum(left - 2 * middle + right, -FAINT)  # of the parabola through a peak and its neighbours
        shift = (left - right) / (2 * bend)
        top = np.where((middle >= left) & (middle >= right), middle - (left - right) * shift / 4, 0)
        lags = np.arange(shortest, longest + 1, dtype=np.float32)
        best = (top - OCTAVE_COST * np.log2(lags / shortest)[:, None]).argmax(axis=0)
        chosen = best, np.arange(len(best))
        lag, correlation = lags[best] + shift[chosen], top[chosen]
        period, harmonicity = np.ones((2, len(self.speech)), np.float32)
        period[self.speech], harmonicity[self.speech] = (
            np.clip(lag, shortest, longest) / rate,
            np.clip(correlation, 0, 0.9999),
        )
        return period, harmonicity

    @property
    def period(self) -> Array:
        """Of each frame, in seconds; of no meaning where it isn't voiced."""
        return self._pitch[0]

    @property
    def harmonicity(self) -> Array:
        """Correlation of each frame with itself a period later, 0 to 1: the share of its power that is periodic."""
        return self._pitch[1]

    @cached_property
    def voiced(self) -> NDArray[np.bool_]:
        """Which frames are speech with a pitch."""
        return self.speech & (self.harmonicity >= VOICED)


@cache
def _window_autocorrelation(frame: int) -> Array:
    correlation = np.fft.irfft(np.abs(np.fft.rfft(spectrum.hann(frame))) ** 2)
    normalised: Array = (correlation / correlation[0]).astype(np.float32)
    return normalised
