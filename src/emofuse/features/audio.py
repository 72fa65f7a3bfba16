"""Audio features: zero crossing rate, spectral centroid and MFCC, as in the original system, and prosody."""

from __future__ import annotations

import math

import librosa
import numpy as np
from numpy.typing import NDArray

from emofuse.errors import MediaError
from emofuse.features.base import OneByOne, ordered, statistic_names, statistics
from emofuse.media import audio_samples
from emofuse.params import AudioParams
from emofuse.schema import Extracted, Utterance

FRAME_SECONDS = 0.064
HOP_SECONDS = 0.016
F0_RANGE = (65.0, 500.0)  # Hz: from a low man's voice to an excited child's
VOICED_CORRELATION = 0.5  # least correlation of a voiced frame with itself a period later
SPEECH_DECIBELS = 30.0  # frames within this of the loudest count as speech
SILENCE = 1e-4  # peak amplitude under which a sound track holds nothing
PROSODY = (
    *statistic_names(["rms"]),
    *("f0_mean", "f0_std", "f0_min", "f0_max", "f0_range"),
    *("voiced_share", "speaking_time", "speaking_share"),
)


class AudioExtractor(OneByOne):
    """Statistics over a clip of frame-wise spectral features (librosa), and prosody.

    zcr is a share, centroid in Hz, F0 in Hz (range in semitones), speaking time in seconds.
    """

    def __init__(self, params: AudioParams) -> None:
        self.params = params
        columns = ["zcr", "centroid", *(f"mfcc{index:02d}" for index in range(1, params.n_mfcc + 1))]
        self.names: tuple[str, ...] = (*statistic_names(columns), *(PROSODY if params.prosody else ()))

    def warm_up(self) -> None:
        """Compile librosa's kernels, which takes seconds."""
        rate = self.params.sample_rate
        audio_features(np.sin(2 * np.pi * 200 * np.arange(rate) / rate).astype(np.float32), self.params)

    def _one(self, utterance: Utterance) -> Extracted:
        if utterance.clip is None:
            return Extracted(None, utterance.clip_reason)
        try:
            samples = audio_samples(utterance.clip, self.params.sample_rate)
        except MediaError as error:
            return Extracted(None, str(error))
        if np.abs(samples).max() < SILENCE:
            return Extracted(None, "silent sound track")
        return Extracted(audio_features(samples, self.params))


def audio_features(samples: NDArray[np.float32], params: AudioParams) -> NDArray[np.float32]:
    """Features of a sound.

    Args:
        samples: mono, shape (samples,), in [-1, 1], at `params.sample_rate`.
        params: which features.

    Returns:
        float32 of shape (d,), in the order of `AudioExtractor.names`; NaN for the F0 of a sound without a voice.
    """
    rate = params.sample_rate
    frame, hop = round(FRAME_SECONDS * rate), round(HOP_SECONDS * rate)
    samples = np.pad(samples, (0, max(0, frame - len(samples))))
    magnitude = np.abs(librosa.stft(samples, n_fft=frame, hop_length=hop))
    mel = librosa.feature.melspectrogram(S=magnitude**2, sr=rate, n_fft=frame)
    spectral = np.concatenate(
        [
            librosa.feature.zero_crossing_rate(samples, frame_length=frame, hop_length=hop),
            librosa.feature.spectral_centroid(S=magnitude, sr=rate, n_fft=frame),
            librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=params.n_mfcc),
        ]
    )
    values = statistics(spectral)
    return np.concatenate([values, prosody(samples, rate, frame, hop)]) if params.prosody else values


def prosody(samples: NDArray[np.float32], rate: int, frame: int, hop: int) -> NDArray[np.float32]:
    """Loudness, pitch and speaking time of a sound.

    F0 is by YIN (de Cheveigné and Kawahara, JASA 2002). A frame is voiced where it is loud enough to be speech and its
    normalised correlation with itself one period later is at least 0.5 (after Boersma, IFA 1993).

    Returns:
        float32 in the order of `PROSODY`.
    """
    frames = librosa.util.frame(samples, frame_length=frame, hop_length=hop)
    rms = np.sqrt((frames.astype(np.float64) ** 2).mean(axis=0))
    speech = rms > rms.max() * 10 ** (-SPEECH_DECIBELS / 20)
    fmin, fmax = F0_RANGE
    f0 = librosa.yin(samples, fmin=fmin, fmax=fmax, sr=rate, frame_length=frame, hop_length=hop, center=False)
    voiced = speech & (_periodicity(frames, np.round(rate / f0).astype(int)) >= VOICED_CORRELATION)
    pitch = f0[voiced]
    loudness = dict(zip(statistic_names(["rms"]), statistics(rms[None]), strict=True))
    known = (
        {"f0_mean": pitch.mean(), "f0_std": pitch.std(), "f0_min": pitch.min(), "f0_max": pitch.max()}
        if len(pitch)
        else {}
    )
    known["f0_range"] = 12 * math.log2(np.percentile(pitch, 95) / np.percentile(pitch, 5)) if len(pitch) else math.nan
    shares = {
        "voiced_share": voiced.sum() / speech.sum(),
        "speaking_time": speech.sum() * hop / rate,
        "speaking_share": speech.mean(),
    }
    unknown = dict.fromkeys(PROSODY, math.nan)
    return ordered(PROSODY, {**unknown, **loudness, **known, **shares})


def _periodicity(frames: NDArray[np.float32], lags: NDArray[np.int_]) -> NDArray[np.float64]:
    """Normalised correlation of each frame, shape (frame, n), with itself `lags` samples later."""
    scores = np.zeros(len(lags))
    for lag in np.unique(lags):
        chosen = lags == lag
        early, late = frames[:-lag, chosen], frames[lag:, chosen]
        power = np.sqrt((early**2).sum(axis=0) * (late**2).sum(axis=0))
        scores[chosen] = (early * late).sum(axis=0) / np.maximum(power, 1e-12)
    return scores
