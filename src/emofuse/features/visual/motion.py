"""How a face moves from frame to frame, and how that agrees with the sound."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.records import Clip
from emofuse.features.contract import FeatureGroup
from emofuse.features.visual.alignment import FACE
from emofuse.features.visual.detectors import Gray
from emofuse.features.visual.face_tracks import Sighting

BROW = slice(round(0.15 * FACE), round(0.40 * FACE))  # rows of a face
MOUTH = slice(round(0.65 * FACE), round(0.95 * FACE))
MIDDLE = slice(round(0.20 * FACE), round(0.80 * FACE))  # columns of both
SOUND_RATE = 8000  # Hz; enough for loudness
LIVELY, RESTING = 8.0, 0.33  # weight of the mouth's share of what mouth and brow move, and that share in a listener
LEAST_PAIRS = 4  # frames that a correlation is worth anything from

MOTION = FeatureGroup(
    name="motion",
    columns=(
        *(f"motion_{part}_{over}" for part in ("face", "brow", "mouth") for over in ("mean", "std", "max")),
        *("motion_mouth_share", "motion_agreement"),
    ),
    formula="mean change of brightness of the whole face, the brow and the mouth since the frame before: mean, "
    "standard deviation and maximum over the clip; the mouth's share of what mouth and brow move; and the correlation "
    "of what the mouth moves more than the brow with the sound's loudness",
    unit="1 (0 to 1; the correlation -1 to 1)",
    source="frame differences; RMS loudness",
)


def moved(now: Gray, before: Gray) -> tuple[float, float, float]:
    """Mean change of brightness, 0 to 1, of the face, its brow and its mouth, between two pictures of one place.

    Args:
        now: uint8 of shape (96, 96).
        before: the same place in the frame before.
    """
    change = np.abs(now.astype(np.int16) - before) / 255
    return float(change.mean()), float(change[BROW, MIDDLE].mean()), float(change[MOUTH, MIDDLE].mean())


class Loudness:
    """The loudness of a clip's sound, decoded when it is first asked for."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._samples: NDArray[np.float32] | None = None

    def agreement(self, sightings: Sequence[Sighting]) -> float:
        """Correlation of what the mouth moves more than the brow with the loudness; NaN without sound or motion."""
        pairs = [sighting for sighting in sightings if not math.isnan(sighting.moved[0])]
        if len(pairs) < LEAST_PAIRS:
            return math.nan
        loud = self._during([sighting.time for sighting in pairs])
        mouth = np.array([sighting.moved[2] - sighting.moved[1] for sighting in pairs])
        if loud.std() < 1e-6 or mouth.std() < 1e-6:
            return math.nan
        return float(np.corrcoef(mouth, loud)[0, 1])

    def speech(self, sightings: Sequence[Sighting]) -> float:
        """How much a face looks like the speaker's, around 0; NaN without sound or motion.

        Its agreement with the sound, which few frames measure badly, and how much its mouth moves beside its brow.
        """
        moving = np.array([sighting.moved for sighting in sightings if not math.isnan(sighting.moved[0])])
        agreement = self.agreement(sightings)
        if math.isnan(agreement):
            return math.nan
        _, brow, mouth = moving.sum(axis=0)
        return agreement + LIVELY * (float(mouth / (mouth + brow)) - RESTING)

    def _during(self, times: Sequence[float]) -> NDArray[np.float64]:
        """Root mean square of the sound that was heard while each frame came about, zero beyond its end."""
        if self._samples is None:
            try:
                self._samples = self._clip.sound(SOUND_RATE)
            except MediaError:
                self._samples = np.zeros(1, np.float32)
        step = np.median(np.diff(times))
        parts = [self._samples[max(0, round((t - step) * SOUND_RATE)) : round(t * SOUND_RATE)] for t in times]
        return np.array([np.sqrt((part.astype(np.float64) ** 2).mean()) if len(part) else 0.0 for part in parts])


def motion(sightings: Sequence[Sighting], agreement: float) -> NDArray[np.float32]:
    """The columns of `MOTION`, float32 of shape (11,); all NaN for a face that is seen once."""
    changes = np.array([sighting.moved for sighting in sightings]).T
    changes = changes[:, ~np.isnan(changes[0])]
    if not changes.shape[1]:
        return np.full(len(MOTION.columns), np.nan, np.float32)
    over = np.stack([changes.mean(axis=1), changes.std(axis=1), changes.max(axis=1)], axis=1)
    _, brow, mouth = changes.sum(axis=1)
    share = mouth / (mouth + brow) if mouth + brow else math.nan
    return np.array([*over.ravel(), share, agreement], dtype=np.float32)
