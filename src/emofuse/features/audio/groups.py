"""The groups of audio features: how each is computed, and what its columns are.

The groups of the original system are taken over the whole clip, the others over the frames with speech or a voice
alone: how long a clip goes on after the last word says nothing of how that was said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emofuse.core.params import AudioParams
from emofuse.features.audio import contours
from emofuse.features.audio import prosody as speaking
from emofuse.features.audio.activity import ACTIVITY, activity
from emofuse.features.audio.functionals import functional_names, functionals
from emofuse.features.audio.sound import Sound
from emofuse.features.contract import FeatureGroup, statistic_names, statistics

Array = NDArray[np.float32]
ORIGINAL = "as in the original system, by librosa"
STATISTICS = "mean, standard deviation, minimum and maximum over the clip of "
OVER_SPEECH = "mean, standard deviation, 5th and 95th percentile and slope, over the frames with speech, of "


@dataclass(frozen=True)
class AudioGroup:
    """One group: its columns, how they are computed, and what the documentation says of them."""

    columns: Callable[[AudioParams], Sequence[str]]
    values: Callable[[Sound], Array]
    formula: str
    unit: str
    source: str

    def describe(self, name: str, params: AudioParams) -> FeatureGroup:
        """The group's columns and documentation."""
        return FeatureGroup(name, tuple(self.columns(params)), self.formula, self.unit, self.source)


def _over_clip(
    columns: Callable[[AudioParams], Sequence[str]], contour: Callable[[Sound], Array], what: str, unit: str
) -> AudioGroup:
    return AudioGroup(
        lambda params: statistic_names(columns(params)),
        lambda sound: statistics(contour(sound)),
        STATISTICS + what,
        unit,
        ORIGINAL,
    )


def _over_speech(
    columns: Callable[[AudioParams], Sequence[str]],
    contour: Callable[[Sound], Array],
    what: str,
    unit: str,
    source: str,
) -> AudioGroup:
    return AudioGroup(
        lambda params: functional_names(columns(params)),
        lambda sound: functionals(_during_speech(contour(sound), sound)),
        OVER_SPEECH + what,
        unit,
        source,
    )


def _during_speech(contour: Array, sound: Sound) -> Array:
    """The frames with speech of a contour, which may have no others."""
    return contour[:, sound.speech] if contour.shape[1] == len(sound.speech) else contour


def _numbered(prefix: str) -> Callable[[AudioParams], list[str]]:
    return lambda params: [f"{prefix}{index:02d}" for index in range(1, params.n_mfcc + 1)]


GROUPS = {
    "zcr": _over_clip(lambda _: ["zcr"], contours.zcr, "the share of samples at which the sign changes", "1"),
    "centroid": _over_clip(
        lambda _: ["centroid"], contours.centroid, "the spectrum's mean frequency, weighted by magnitude", "Hz"
    ),
    "mfcc": _over_clip(
        _numbered("mfcc"), lambda sound: sound.mfcc, "the cosine transform of the log power in 128 mel bands", "dB"
    ),
    "mfcc_speech": _over_speech(
        _numbered("mfcc_speech"), lambda sound: sound.mfcc, "the MFCC", "dB", "MFCC as above; functionals as in GeMAPS"
    ),
    "mfcc_delta": _over_speech(
        _numbered("mfcc_delta"),
        contours.mfcc_delta,
        "the MFCC's change, the slope of the line that fits best over 9 frames",
        "dB a frame",
        "Furui, IEEE Transactions on Acoustics, Speech and Signal Processing 1986; librosa",
    ),
    "rolloff": _over_speech(
        lambda _: contours.ROLLOFFS,
        contours.rolloff,
        "the frequencies below which 25, 50, 85 and 95% of the power lie",
        "Hz",
        "spectral roll-off: Scheirer and Slaney, ICASSP 1997; shares as in openSMILE's ComParE",
    ),
    "flatness": _over_speech(
        lambda _: ["flatness"],
        contours.flatness,
        "the power's geometric mean over frequencies by its arithmetic mean",
        "dB",
        "Dubnov, IEEE Signal Processing Letters 2004",
    ),
    "flux": _over_speech(
        lambda _: ["flux"],
        contours.flux,
        "the distance between the magnitudes of two frames, each scaled to sum 1",
        "1",
        "Scheirer and Slaney, ICASSP 1997",
    ),
    "contrast": _over_speech(
        lambda params: contours.contrast_names(params.sample_rate),
        contours.contrast,
        "the level of the loudest fiftieth less that of the faintest fiftieth of each octave from 125 Hz up",
        "dB",
        "spectral contrast: Jiang and others, ICME 2002",
    ),
    "tilt": _over_speech(
        lambda _: contours.TILTS,
        contours.tilt,
        "the power below 1 kHz over that from 1 to 5 kHz (alpha ratio), the strongest frequency below 2 kHz over that "
        "from 2 to 5 kHz (Hammarberg index), and the spectrum's slope from 0 to 500, 500 to 1500 and 0 to 4000 Hz",
        "dB, slopes dB/kHz",
        "GeMAPS: Eyben and others, IEEE Transactions on Affective Computing 2016",
    ),
    "rms": _over_speech(
        lambda _: ["rms"], lambda sound: sound.level[None], "the frame's RMS", "dB of full scale", "librosa"
    ),
    "f0": AudioGroup(
        lambda _: speaking.F0,
        speaking.f0,
        "pitch over the voiced frames and its change from frame to frame, by the same functionals; its range from the "
        "5th to the 95th percentile; the voiced share of the frames with speech",
        "semitones above 55 Hz, share 1",
        "autocorrelation: Boersma, IFA Proceedings 17, 1993",
    ),
    "voice": AudioGroup(
        lambda _: speaking.VOICE,
        speaking.voice,
        "harmonic-to-noise ratio, 10 log10(r / (1 - r)) of the autocorrelation r at the period, over the voiced "
        "frames; jitter and shimmer: mean change of the period and of the peak amplitude between voiced frames, by "
        "their mean",
        "dB, jitter and shimmer 1",
        "Boersma, IFA Proceedings 17, 1993; jitter and shimmer are taken from frame to frame, not from cycle to cycle",
    ),
    "rate": AudioGroup(
        lambda _: speaking.RATE,
        speaking.rate,
        "time from the first to the last frame with speech and the share of it that is speech; number of pauses above "
        "0.1 s and the longest; peaks of the smoothed level (syllables) and voiced stretches a second; mean and "
        "standard deviation of the voiced stretches",
        "s, 1/s",
        "syllable nuclei: de Jong and Wempe, Behavior Research Methods 2009; GeMAPS",
    ),
    "activity": AudioGroup(
        lambda _: ACTIVITY,
        activity,
        "by the probability of speech in each 32 ms: time from the first to the last speech and the share of it that "
        "is speech; pauses a second, the longest and their mean; mean and standard deviation of the stretches between "
        "them, and of the probability",
        "s, 1/s, share and probability 1",
        "Silero VAD 6 (MIT), whose weights come with the extra transcribe",
    ),
}
