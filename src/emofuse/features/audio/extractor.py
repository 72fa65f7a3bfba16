"""Audio features: the spectrum of a sound, its pitch, the quality of its voice and its rate, by chosen groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.params import AudioParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Clip, Extracted, Utterance
from emofuse.extraction.clips import OneByOne
from emofuse.features.audio.groups import GROUPS
from emofuse.features.audio.sound import FRAME_SECONDS, Sound
from emofuse.features.contract import FeatureGroup

EDGE = 0.01  # seconds at both ends in which a resampler rings
FAINTEST = 1e-3  # root mean square of full scale, in the loudest frame, under which a sound track holds nothing
FAINT = 1e-2  # the same of a sound that is hiss if it also goes on alike
EVEN = 2.0  # times the level of its faint frames that the loudest of a hiss reaches; speech reaches five times


def audio_groups(params: AudioParams) -> tuple[FeatureGroup, ...]:
    """The chosen groups, in the order of the columns."""
    return tuple(GROUPS[name].describe(name, params) for name in params.groups)


class AudioExtractor(OneByOne):
    """The chosen groups of the sound track; NaN for the pitch of a sound without a voice."""

    def __init__(self, params: AudioParams) -> None:
        self.params = params
        self.names: tuple[str, ...] = tuple(name for group in audio_groups(params) for name in group.columns)

    def warm_up(self) -> None:
        """Make what is made once, such as the filters."""
        rate = self.params.sample_rate
        audio_features(np.sin(2 * np.pi * 200 * np.arange(rate) / rate).astype(np.float32), self.params)

    def _one(self, utterance: Utterance, clip: Clip | None) -> Extracted:
        if clip is None:
            return Extracted(None, utterance.clip_reason)
        try:
            samples = clip.sound(self.params.sample_rate)
        except MediaError as error:
            return Extracted(None, error.cause)
        if is_silent(samples, self.params.sample_rate):
            return Extracted(None, Cause(Reason.SILENT))
        return Extracted(audio_features(samples, self.params), clip.damage.get("sound"))


def is_silent(samples: NDArray[np.float32], rate: int) -> bool:
    """Whether a sound holds nothing: silence, a constant, or the hiss of a few bits.

    Args:
        samples: mono, shape (samples,), in [-1, 1].
        rate: in Hz.
    """
    edge, size = round(EDGE * rate), round(FRAME_SECONDS * rate)
    inner = samples[edge:-edge] if len(samples) > size + 2 * edge else samples
    count = max(1, len(inner) // size)
    frames = inner[: count * size].reshape(count, -1).astype(np.float64)
    levels = frames.std(axis=1)  # without a constant
    loudest = levels.max()
    return bool(loudest < FAINTEST or (loudest < FAINT and loudest < EVEN * np.percentile(levels, 10)))


def audio_features(samples: NDArray[np.float32], params: AudioParams) -> NDArray[np.float32]:
    """Features of a sound.

    Args:
        samples: mono, shape (samples,), in [-1, 1], at `params.sample_rate`.
        params: which features.

    Returns:
        float32 of shape (d,), in the order of `AudioExtractor.names`.
    """
    sound = Sound(samples, params.sample_rate, params.n_mfcc)
    return np.concatenate([GROUPS[name].values(sound) for name in params.groups])
