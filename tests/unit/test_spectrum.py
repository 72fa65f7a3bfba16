"""The spectrum's measures are librosa's, to the bit."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from emofuse.features.audio import spectrum

FRAME, HOP = 1024, 256


def sound(kind: str) -> np.ndarray:
    generator = np.random.default_rng(3)
    times = np.arange(9_000) / 16_000
    made = {
        "noise": generator.normal(size=9_000),
        "tone": np.sin(2 * np.pi * 220 * times),
        "faint": 1e-11 * generator.normal(size=9_000),
        "short": generator.normal(size=FRAME),
        "silence": np.zeros(4_000),
    }
    return made[kind].astype(np.float32)


@pytest.fixture(params=["noise", "tone", "faint", "short", "silence"])
def samples(request: pytest.FixtureRequest) -> np.ndarray:
    return sound(request.param)


def test_magnitudes(samples: np.ndarray) -> None:
    theirs = np.abs(librosa.stft(samples, n_fft=FRAME, hop_length=HOP))
    ours = spectrum.magnitudes(samples, FRAME, HOP)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("rate", "frame"), [(16_000, 1024), (44_100, 2822), (8_000, 512)])
def test_mel_filters(rate: int, frame: int) -> None:
    np.testing.assert_array_equal(spectrum.mel_filters(rate, frame), librosa.filters.mel(sr=rate, n_fft=frame))


@pytest.mark.parametrize("frame", [512, 882, 1024, 2048, 3072])
def test_window(frame: int) -> None:
    np.testing.assert_array_equal(spectrum.hann(frame), librosa.filters.get_window("hann", frame))


def test_mfcc(samples: np.ndarray) -> None:
    mel = spectrum.mel_filters(16_000, FRAME) @ spectrum.magnitudes(samples, FRAME, HOP) ** 2
    theirs = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20)
    np.testing.assert_array_equal(spectrum.mfcc(mel, 20), theirs)


def test_zero_crossings(samples: np.ndarray) -> None:
    theirs = librosa.feature.zero_crossing_rate(samples, frame_length=FRAME, hop_length=HOP)
    np.testing.assert_array_equal(spectrum.zero_crossing_rate(samples, FRAME, HOP), theirs)


def test_centroid(samples: np.ndarray) -> None:
    magnitude = spectrum.magnitudes(samples, FRAME, HOP)
    theirs = librosa.feature.spectral_centroid(S=magnitude, sr=16_000, n_fft=FRAME)
    np.testing.assert_array_equal(spectrum.mean_frequency(magnitude, 16_000, FRAME), theirs)
