"""Finding the faces of a clip at little cost: when a whole frame is searched, and following what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.core.params import VisualParams
from emofuse.features.visual.detectors import Detection, Gray, cut_out, is_new, make_detector, with_margin

SEARCH_EVERY, SEARCH_EMPTY = 3.0, 1.5  # seconds between searches where faces are followed, and where none are
SEARCH_LOST = 0.6  # seconds to the next search where a face was lost, which may have been hidden by another
THUMBNAIL = (32, 18)  # places, wide and high, by which frames are compared
CUT = 30.0  # mean change of brightness, of 255, from one shot to the next
NEWS = 10.0  # change of a place since the last search, of 255, that a new face may have brought
AROUND = 0.4  # of a followed face on each side, whose changes are its own
GUESSES = 4  # frames in a row in which a face is followed by its brightness alone
STEADY = 0.92  # least correlation of such a face with that of the frame before
TEMPLATE, ROOM = 40, 6  # pixels of a face as it is compared, and how far it may have moved
GRAIN = 16  # parts of a pixel to which what was measured is rounded


@dataclass(eq=False)
class SearchedFrame:
    """A frame and the faces in it.

    Attributes:
        time: seconds.
        frame: uint8 of shape (height, width).
        shot: number of the shot that it belongs to; a cut starts a new one.
        faces: in no order.
    """

    time: float
    frame: Gray
    shot: int = 0
    faces: list[Detection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thumbnail: NDArray[np.int16] = cv2.resize(self.frame, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(
            np.int16
        )


class FaceFinder:
    """Searches a whole frame at a cut, when a face is lost, and now and then where the picture has changed.

    Between searches each face is looked for around its last place. A face that a search finds first is traced back
    through the frames since the search before, so that searching seldom loses nothing.
    """

    def __init__(self, params: VisualParams, assets: Path | None = None) -> None:
        self._detector = make_detector(params, assets)

    def look_through(self, frames: Iterable[tuple[float, Gray]]) -> Iterator[SearchedFrame]:
        """The frames of a clip, each with its time and its faces."""
        waiting: list[SearchedFrame] = []  # those since the last search
        last = searched = None
        due = 0.0
        for time, frame in frames:
            look = SearchedFrame(time, frame)
            cut = last is None or _cut(last, look)
            if last is not None:
                look.shot = last.shot + cut
                look.faces = [] if cut else self._followed(last, look)
            lost = not cut and last is not None and len(look.faces) < len(last.faces)
            if cut or lost or time >= due:
                if cut or lost or searched is None or _news(searched, look):
                    self._search(look, waiting)
                    searched = look
                yield from waiting
                waiting = []
                due = time + (SEARCH_LOST if lost else SEARCH_EVERY if look.faces else SEARCH_EMPTY)
            waiting.append(look)
            last = look
        yield from waiting

    def _followed(self, last: SearchedFrame, look: SearchedFrame) -> list[Detection]:
        faces: list[Detection] = []
        for face in last.faces:
            now = _shifted(last.frame, look.frame, face) or self._detector.near(look.frame, face)
            if now is not None and is_new(now, faces):
                faces.append(now)
        return faces

    def _search(self, look: SearchedFrame, earlier: Sequence[SearchedFrame]) -> None:
        """Add the faces that are not followed yet, there and as far back as they are seen."""
        fresh = [face for face in self._detector.search(look.frame) if is_new(face, look.faces)]
        look.faces += fresh
        for before in reversed(earlier):
            if before.shot != look.shot or not fresh:
                return
            traced = [self._detector.near(before.frame, face) for face in fresh]
            fresh = [face for face in traced if face is not None and is_new(face, before.faces)]
            before.faces += fresh


def _cut(last: SearchedFrame, look: SearchedFrame) -> bool:
    if last.frame.shape != look.frame.shape:
        return True
    return float(np.abs(look.thumbnail - last.thumbnail).mean()) > CUT


def _news(searched: SearchedFrame, look: SearchedFrame) -> bool:
    """Whether the picture has changed since a search elsewhere than around its faces."""
    changed = np.abs(look.thumbnail - searched.thumbnail) > NEWS
    wide, high = (places / side for places, side in zip(THUMBNAIL, look.frame.shape[::-1], strict=True))
    for face in look.faces:
        left, top, width, height = with_margin(face.box, AROUND)
        rows = slice(max(0, int(top * high)), max(0, int(np.ceil((top + height) * high))))
        changed[rows, max(0, int(left * wide)) : max(0, int(np.ceil((left + width) * wide)))] = False
    return bool(changed.any())


def _shifted(before: Gray, now: Gray, face: Detection) -> Detection | None:
    """A face that looks as in the frame before and has only moved; None where the detector must be asked."""
    if face.guesses >= GUESSES:
        return None
    x, y, side, _ = face.box
    template, region = cut_out(before, face.box, TEMPLATE), cut_out(now, face.box, TEMPLATE + 2 * ROOM, ROOM / TEMPLATE)
    likeness = cv2.matchTemplate(region, template, cv2.TM_CCOEFF_NORMED).astype(np.float64)
    _, best, _, (right, down) = cv2.minMaxLoc(likeness)
    if not best >= STEADY:  # a flat picture gives infinity or NaN
        return None
    peak = np.array([_peak(likeness[down], right), _peak(likeness[:, right], down)])
    moved = np.round((peak - ROOM) * (side / TEMPLATE) * GRAIN) / GRAIN
    box = x + round(moved[0]), y + round(moved[1]), side, side
    landmarks = None if face.landmarks is None else face.landmarks + moved
    return replace(face, box=box, landmarks=landmarks, guesses=face.guesses + 1)


def _peak(line: NDArray[np.float64], at: int) -> float:
    """Where the parabola through a peak and its neighbours is highest."""
    if not 0 < at < len(line) - 1:
        return float(at)
    before, top, after = (float(value) for value in line[at - 1 : at + 2])
    bend = before - 2 * top + after
    return at + (0.5 * (before - after) / bend if bend < 0 else 0.0)
