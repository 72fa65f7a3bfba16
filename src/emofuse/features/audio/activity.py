"""Speech and pauses as a network for voice activity hears them, which noise and music mislead less than loudness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emofuse.features.audio.sound import Sound
from emofuse.features.contract import ordered

LIKELY = 0.5  # probability above which a step counts as speech
ACTIVITY = [
    *("activity_time", "activity_share", "activity_pause_rate", "activity_longest_pause", "activity_pause_mean"),
    *("activity_stretch_mean", "activity_stretch_std", "activity_probability_mean", "activity_probability_std"),
]


def activity(sound: Sound) -> NDArray[np.float32]:
    """Speech between its first and its last step, in the order of `ACTIVITY`; NaN where there is none."""
    from emofuse.transcription.voice_activity import STEP_SECONDS, speech_probabilities  # torch takes seconds to load

    probabilities = speech_probabilities(sound.samples, sound.assets)
    steps = np.flatnonzero(probabilities >= LIKELY)
    if not len(steps):
        return np.full(len(ACTIVITY), np.nan, np.float32)
    probabilities = probabilities[steps[0] : steps[-1] + 1]
    speech = probabilities >= LIKELY
    seconds = len(speech) * STEP_SECONDS
    edges = np.flatnonzero(np.diff(speech)) + 1
    runs = np.diff([0, *edges, len(speech)]) * STEP_SECONDS  # speech and pauses in turn, speech first and last
    stretches, pauses = runs[::2], runs[1::2]
    return ordered(
        ACTIVITY,
        {
            "activity_time": seconds,
            "activity_share": speech.mean(),
            "activity_pause_rate": len(pauses) / seconds,
            "activity_longest_pause": pauses.max(initial=0),
            "activity_pause_mean": pauses.mean() if len(pauses) else 0,
            "activity_stretch_mean": stretches.mean(),
            "activity_stretch_std": stretches.std(),
            "activity_probability_mean": probabilities.mean(),
            "activity_probability_std": probabilities.std(),
        },
    )
