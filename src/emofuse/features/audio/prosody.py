"""How a sound is spoken: pitch, quality of the voice, rate and pauses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emofuse.features.audio.functionals import functional_names, functionals
from emofuse.features.audio.sound import Sound
from emofuse.features.contract import ordered

Array = NDArray[np.float32]
F0 = [*functional_names(["f0", "f0_change"]), "f0_range", "voiced_share"]
VOICE = [*functional_names(["hnr"]), "jitter", "shimmer"]
RATE = [
    *("speaking_time", "speaking_share", "pauses", "longest_pause"),
    *("syllable_rate", "voiced_rate", "voiced_mean", "voiced_std"),
]
LOWEST = 55.0  # Hz: semitones are counted from the note A1
PAUSE_SECONDS = 0.1
SMOOTHING = np.hanning(9) / np.hanning(9).sum()  # frames


def f0(sound: Sound) -> Array:
    """Pitch in semitones, in the order of `F0`; NaN without a voice."""
    semitones = -12 * np.log2(sound.period * LOWEST)
    pitch = semitones[sound.voiced]
    change = np.diff(semitones)[_pairs(sound.voiced)]
    low, high = np.percentile(pitch, (5, 95)) if len(pitch) else (np.nan, np.nan)
    share = sound.voiced.sum() / sound.speech.sum()
    return np.concatenate([functionals(pitch[None]), functionals(change[None]), [high - low, share]]).astype(np.float32)


def voice(sound: Sound) -> Array:
    """Quality of the voice, in the order of `VOICE`; NaN without a voice."""
    periodic = np.maximum(sound.harmonicity[sound.voiced], 1e-3)
    ratio = 10 * np.log10(periodic / (1 - periodic))
    jitter, shimmer = (_unsteadiness(contour, sound.voiced) for contour in (sound.period, sound.peaks))
    return np.concatenate([functionals(ratio[None]), [jitter, shimmer]]).astype(np.float32)


def rate(sound: Sound) -> Array:
    """Speaking rate and pauses, in the order of `RATE`."""
    frames = np.flatnonzero(sound.speech)
    speech = sound.speech[frames[0] : frames[-1] + 1]
    seconds = len(speech) * sound.step
    silent, voiced = _stretches(~speech) * sound.step, _stretches(sound.voiced) * sound.step
    pauses = silent[silent > PAUSE_SECONDS]
    smooth = np.convolve(np.pad(sound.level, len(SMOOTHING) // 2, mode="edge"), SMOOTHING, "valid")
    syllables = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & sound.speech[1:-1]
    return ordered(
        RATE,
        {
            "speaking_time": seconds,
            "speaking_share": speech.mean(),
            "pauses": len(pauses),
            "longest_pause": pauses.max(initial=0),
            "syllable_rate": syllables.sum() / seconds,
            "voiced_rate": len(voiced) / seconds,
            "voiced_mean": voiced.mean() if len(voiced) else 0,
            "voiced_std": voiced.std() if len(voiced) else 0,
        },
    )


def _pairs(frames: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where two chosen frames follow each other, shape (t - 1,)."""
    return frames[:-1] & frames[1:]


def _unsteadiness(contour: Array, voiced: NDArray[np.bool_]) -> float:
    """Mean change between neighbouring voiced frames, by the mean."""
    pairs = _pairs(voiced)
    if not pairs.any():
        return np.nan
    return float(np.abs(np.diff(contour))[pairs].mean() / max(contour[1:][pairs].mean(), 1e-12))


def _stretches(frames: NDArray[np.bool_]) -> NDArray[np.int_]:
    """Lengths of the runs of chosen frames."""
    edges = np.diff(np.concatenate([[False], frames, [False]]).astype(int))
    return np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
