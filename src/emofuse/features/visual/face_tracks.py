"""Following faces through a clip, and choosing the one that speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emofuse.features.visual.detectors import SAME, Box, overlap

GAP = 1.0  # seconds that a face may be lost and still be the same
RIVAL = 0.5  # of the heaviest track's weight: a face that may as well be the speaker's


@dataclass(frozen=True)
class Sighting:
    """A face in a frame.

    Attributes:
        time: seconds from the clip's first frame.
        box: where it is.
        patch: the face and its surroundings, uint8 of shape (side, side).
        moved: mean change since the frame before of the whole face, its brow and its mouth, 0 to 1; NaN in the first.
        size: width and height of the frame, in pixels.
    """

    time: float
    box: Box
    patch: NDArray[np.uint8]
    moved: tuple[float, float, float]
    size: tuple[int, int]


Track = list[Sighting]


def follow(frames: Iterable[Sequence[Sighting]]) -> list[Track]:
    """Join sightings of one face: each goes to the track whose last place it overlaps most."""
    tracks: list[Track] = []
    for sightings in frames:
        free = [track for track in tracks if sightings and sightings[0].time - track[-1].time <= GAP]
        for sighting in sightings:
            best = max(free, key=lambda track: overlap(track[-1].box, sighting.box), default=None)
            if best is None or overlap(best[-1].box, sighting.box) < SAME:
                tracks.append([sighting])
            else:
                free.remove(best)
                best.append(sighting)
    return tracks


def speaker(tracks: Sequence[Track], agreement: Callable[[Track], float]) -> Track:
    """The sightings of the face that speaks, at most one a frame.

    Of faces that are seen during the same time, the largest and steadiest is kept, by the sum of its widths. Others at
    least half as weighty may as well be the speaker's: among them it is the one whose mouth agrees most with the sound.

    Args:
        tracks: as `follow` gives them.
        agreement: correlation of a track's mouth with the sound, NaN where unknown.
    """
    kept: Track = []
    left = sorted(tracks, key=_weight, reverse=True)
    while left:
        rivals = [one for one in left if _together(one, left[0]) and _weight(one) >= RIVAL * _weight(left[0])]
        # The heaviest is first, and max keeps the first of equals: it stays where nothing is known of the others.
        best = max(rivals, key=lambda one: np.nan_to_num(agreement(one), nan=-1)) if len(rivals) > 1 else left[0]
        kept += best
        left = [one for one in left if not _together(one, best)]
    return sorted(kept, key=lambda sighting: sighting.time)


def _weight(track: Track) -> int:
    return sum(sighting.box[2] for sighting in track)


def _together(one: Track, other: Track) -> bool:
    return one[0].time <= other[-1].time and other[0].time <= one[-1].time
