"""Joining the faces of a clip's frames to people, and telling who of them speaks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.features.visual.detectors import SAME, Box, Detection, overlap

GAP = 1.0  # seconds that a face may be lost and still be the same
PACE = 4  # sightings by which the pace of a face is taken
SKETCH = 24  # pixels of a face by which it is recognised
RIVAL = 0.5  # of the heaviest track's weight: a face that may as well be the speaker's
ALIKE = 0.6  # least likeness of a face at the end of a window and one in its place at the start of the next
CERTAINTY = 2.5  # what `speech` weighs in the odds that a face speaks


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face in a frame.

    Attributes:
        time: seconds from the clip's first frame.
        face: where it is.
        patch: the face and its surroundings, uint8 of shape (side, side).
        aligned: the face as it stands upright, uint8 of shape (96, 96).
        moved: mean change since the frame before of the whole face, its brow and its mouth, 0 to 1; NaN in the first.
        size: width and height of the frame, in pixels.
        shot: number of the shot that the frame belongs to.
    """

    time: float
    face: Detection
    patch: NDArray[np.uint8]
    aligned: NDArray[np.uint8]
    moved: tuple[float, float, float]
    size: tuple[int, int]
    shot: int = 0

    @property
    def box(self) -> Box:
        """The square from the brows to the chin."""
        return self.face.box

    @property
    def place(self) -> tuple[float, ...]:
        """Left edge, top edge, width and height of the box, as shares of the frame's width and height."""
        return tuple(edge / side for edge, side in zip(self.box, self.size * 2, strict=True))

    @cached_property
    def sketch(self) -> NDArray[np.float64]:
        """What the face looks like, of length 1 whatever the light, float64 of shape (pixels,)."""
        small = cv2.resize(self.patch, (SKETCH, SKETCH), interpolation=cv2.INTER_AREA).astype(np.float64).ravel()
        small -= small.mean()
        return small / (np.sqrt(small @ small) or 1.0)


Track = list[Sighting]


@dataclass(frozen=True, eq=False)
class Person:
    """Someone who is seen in a shot.

    Attributes:
        track: where, at most once a frame.
        speaks: how sure it is that this one speaks, 0 to 1; the rest goes to others in the shot and to nobody seen.
        speaker: whether the features of the clip, or of a part of it, come from this face.
    """

    track: Track
    speaks: float
    speaker: bool

    @property
    def confidence(self) -> float:
        """The detector's, on average, 0 to 1."""
        return float(np.mean([sighting.face.confidence for sighting in self.track]))


def follow(frames: Iterable[Sequence[Sighting]]) -> list[Track]:
    """Join sightings of one face within a shot: each goes to the track where it is expected and that it looks like."""
    tracks: list[Track] = []
    for sightings in frames:
        free = {
            number: track
            for number, track in enumerate(tracks)
            if sightings and track[-1].shot == sightings[0].shot and sightings[0].time - track[-1].time <= GAP
        }
        pairs = [
            (_match(track, sighting), number, place)
            for number, track in free.items()
            for place, sighting in enumerate(sightings)
        ]
        left = set(range(len(sightings)))
        for match, number, place in sorted(pairs, key=lambda pair: (-pair[0], *pair[1:])):
            if match and number in free and place in left:
                free.pop(number).append(sightings[place])
                left.remove(place)
        tracks += [[sightings[place]] for place in sorted(left)]
    return tracks


def _match(track: Track, sighting: Sighting) -> float:
    """How well a sighting fits a track; 0 where it can't be the same face."""
    place = max(overlap(box, sighting.box) for box in (track[-1].box, _expected(track, sighting.time)))
    return place + max(0.0, float(track[-1].sketch @ sighting.sketch)) if place >= SAME else 0.0


def _expected(track: Track, time: float) -> Box:
    """Where a face is if it goes on as it went."""
    first, last = track[-min(PACE, len(track))], track[-1]
    ahead = (time - last.time) / (last.time - first.time) if last.time > first.time else 0.0
    left, top = (round(now + ahead * (now - before)) for before, now in zip(first.box[:2], last.box[:2], strict=True))
    return left, top, *last.box[2:]


def people(tracks: Sequence[Track], face: Track, speech: Callable[[Track], float]) -> list[Person]:
    """Everyone in a clip, in the order in which they come.

    Args:
        tracks: as `follow` gives them.
        face: as `speaker` gives it.
        speech: how much a track looks like the speaker's, around 0; NaN where unknown, which counts as 0.
    """
    odds = [math.exp(CERTAINTY * float(np.nan_to_num(speech(track), nan=0.0))) for track in tracks]
    shares = [
        odd / (1 + sum(o for o, other in zip(odds, tracks, strict=True) if _together(track, other)))
        for odd, track in zip(odds, tracks, strict=True)
    ]
    return [Person(track, share, track[0] in face) for track, share in zip(tracks, shares, strict=True)]


def speaker(tracks: Sequence[Track], speech: Callable[[Track], float]) -> Track:
    """The sightings of the face that speaks, at most one a frame.

    Of faces that are seen during the same time, the largest and steadiest is kept, by the sum of its widths. Others at
    least half as weighty may as well be the speaker's: among them it is the one whose mouth does.

    Args:
        tracks: as `follow` gives them.
        speech: how much a track looks like the speaker's; NaN where unknown.
    """
    kept: Track = []
    left = sorted(tracks, key=_weight, reverse=True)
    while left:
        rivals = [one for one in left if _together(one, left[0]) and _weight(one) >= RIVAL * _weight(left[0])]
        # The heaviest is first, and max keeps the first of equals: it stays where nothing is known of the others.
        best = max(rivals, key=lambda one: np.nan_to_num(speech(one), nan=-np.inf)) if len(rivals) > 1 else left[0]
        kept += best
        left = [one for one in left if not _together(one, best)]
    return sorted(kept, key=lambda sighting: sighting.time)


def _weight(track: Track) -> int:
    return sum(sighting.box[2] for sighting in track)


def _together(one: Track, other: Track) -> bool:
    return one[0].time <= other[-1].time and other[0].time <= one[-1].time


class PersonNumbers:
    """Numbers the people of one window of a film after another, from 1: the same one while a face goes on."""

    def __init__(self) -> None:
        self._before: list[tuple[int, list[tuple[float, Sighting]]]] = []  # of the window before, by the film's clock
        self._count = 0

    def of(self, crowd: Sequence[Person], start: float) -> list[int]:
        """The number of each person of the next window, which starts at so many seconds."""
        walks = [[(start + sighting.time, sighting) for sighting in person.track] for person in crowd]
        pairs = [
            (_continues(earlier, walk), number, place)
            for number, earlier in self._before
            for place, walk in enumerate(walks)
        ]
        numbers: dict[int, int] = {}  # by place in the crowd
        for likeness, number, place in sorted(pairs, reverse=True):
            if likeness >= ALIKE and place not in numbers and number not in numbers.values():
                numbers[place] = number
        for place in range(len(walks)):
            if place not in numbers:
                self._count += 1
                numbers[place] = self._count
        self._before = [(numbers[place], walk) for place, walk in enumerate(walks)]
        return [numbers[place] for place in range(len(walks))]


def _continues(earlier: Sequence[tuple[float, Sighting]], walk: Sequence[tuple[float, Sighting]]) -> float:
    """How alike a face was where the next window starts, -1 to 1; -1 where it was elsewhere or too long ago."""
    time, first = walk[0]
    when, last = min(earlier, key=lambda pair: abs(pair[0] - time))
    near = abs(when - time) <= GAP and overlap(last.box, first.box) >= SAME
    return float(last.sketch @ first.sketch) if near else -1.0
