"""Finding the faces in a clip's frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.core.params import VisualParams

CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
SCALE_STEP = 1.15  # between the sizes that are searched; 1.1 costs a quarter more and finds no more on real video
NEAR_STEP, NEAR_LEAST, NEAR_MOST, NEAR_MARGIN = 1.2, 0.8, 1.25, 0.3  # of the search round a known face, by its width
CLOSE_STEP, CLOSE_LEAST, CLOSE_MARGIN = 1.1, 0.5, 0.25  # of the search for a close-up, by the frame's short side
SAME = 0.3  # least overlap of two boxes of one face
Gray = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, width, height in pixels; a close-up may reach over the frame's edge


class FaceFinder:
    """Frontal faces by the Haar cascade of Viola and Jones (CVPR 2001) that OpenCV ships."""

    def __init__(self, params: VisualParams) -> None:
        self.params = params
        self._cascade = cv2.CascadeClassifier(str(CASCADE))

    def find(self, frame: Gray, known: tuple[Box, ...] = ()) -> tuple[Box, ...]:
        """The faces of a frame, largest first.

        Looking at a whole frame costs most of all, so faces that are known from the frame before are looked for around
        their last places; the whole frame is looked at where none are known or all are lost.
        """
        return self._near(frame, known) or self._anywhere(frame) or self._close_up(frame)

    def _near(self, frame: Gray, known: tuple[Box, ...]) -> tuple[Box, ...]:
        found: list[Box] = []
        for x, y, w, _ in known:
            margin = round(w * NEAR_MARGIN)
            left, top = max(0, x - margin), max(0, y - margin)
            region = frame[top : y + w + margin, left : x + w + margin]
            boxes = self._detect(region, round(w * NEAR_LEAST), round(w * NEAR_MOST), NEAR_STEP)
            placed = [(box[0] + left, box[1] + top, *box[2:]) for box in boxes[:1]]
            found += [box for box in placed if all(overlap(box, other) < SAME for other in found)]
        return tuple(found)

    def _anywhere(self, frame: Gray) -> tuple[Box, ...]:
        least = max(24, round(self.params.min_face * min(frame.shape)))
        return self._detect(frame, least, max(frame.shape), SCALE_STEP)

    def _close_up(self, frame: Gray) -> tuple[Box, ...]:
        """A face that fills the frame, whose outline the cascade misses: it is looked for with room around it."""
        short = min(frame.shape)
        room = round(CLOSE_MARGIN * short)
        wide = _framed(frame, room, cv2.BORDER_CONSTANT)
        boxes = self._detect(wide, round(CLOSE_LEAST * short), max(wide.shape), CLOSE_STEP)
        return tuple((x - room, y - room, w, h) for x, y, w, h in boxes)

    def _detect(self, image: Gray, least: int, most: int, step: float) -> tuple[Box, ...]:
        boxes = self._cascade.detectMultiScale(
            image, step, self.params.min_neighbors, minSize=(least, least), maxSize=(most, most)
        )
        found: list[Box] = [(int(x), int(y), int(w), int(h)) for x, y, w, h in boxes]
        return tuple(sorted(found, key=lambda box: (-box[2] * box[3], *box)))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(0, across) * max(0, down)
    return common / (one[2] * one[3] + other[2] * other[3] - common)


def cut_out(frame: Gray, box: Box, side: int, margin: float = 0.0) -> Gray:
    """A face and its surroundings, uint8 of shape (side, side).

    Args:
        frame: shape (height, width).
        box: the face; what it has beyond the frame repeats the frame's edge.
        side: pixels.
        margin: on each side, as a share of the box.
    """
    grown = round(margin * box[2])
    x, y, w, h = box[0] - grown, box[1] - grown, box[2] + 2 * grown, box[3] + 2 * grown
    over = max(0, -x, -y, x + w - frame.shape[1], y + h - frame.shape[0])
    if over:
        frame = _framed(frame, over, cv2.BORDER_REPLICATE)
    part = frame[y + over : y + over + h, x + over : x + over + w]
    return cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _framed(frame: Gray, room: int, border: int) -> Gray:
    return cv2.copyMakeBorder(frame, room, room, room, room, border).astype(np.uint8, copy=False)
