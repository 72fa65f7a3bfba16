"""Finding faces in a frame: what a detector gives, the Haar cascade, and the choice between it and CenterFace."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import EncoderError
from emofuse.core.params import VisualParams
from emofuse.core.weights import CENTERFACE
from emofuse.media.pictures import resized

CASCADE = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
SCALE_STEP = 1.15  # between the sizes that are searched; 1.1 costs a quarter more and finds no more on real video
NEAR_STEP, NEAR_LEAST, NEAR_MOST, NEAR_MARGIN = 1.2, 0.8, 1.25, 0.3  # of the search round a known face, by its width
CLOSE_STEP, CLOSE_LEAST, CLOSE_MARGIN = 1.1, 0.5, 0.25  # of the search for a close-up, by the frame's short side
SAME = 0.3  # least overlap of two boxes of one face
Gray = NDArray[np.uint8]
Points = NDArray[np.float64]
Box = tuple[int, int, int, int]  # left, top, width, height in pixels; a close-up may reach over the frame's edge


@dataclass(frozen=True, eq=False)
class Detection:
    """A face in a frame.

    Attributes:
        box: a square from the brows to the chin.
        confidence: of the network, 0 to 1; the cascade gives none, and is taken at its word.
        landmarks: both eyes, the nose and the corners of the mouth, from the left, as (x, y) in pixels of the frame,
            float64 of shape (5, 2); None of the cascade, which knows none.
        guesses: frames in a row in which the face was only seen to have moved.
    """

    box: Box
    confidence: float = 1.0
    landmarks: Points | None = None
    guesses: int = 0


class Detector(Protocol):
    """Finds the faces of a frame, uint8 of shape (height, width)."""

    def search(self, frame: Gray) -> list[Detection]:
        """All faces of a frame, largest first. Looking at a whole frame costs most of all."""
        ...

    def near(self, frame: Gray, last: Detection) -> Detection | None:
        """A face that was seen in the frame before, looked for around its last place."""
        ...


def make_detector(params: VisualParams, assets: Path | None = None) -> Detector:
    """The detector that `params` name.

    Args:
        params: of the visual features.
        assets: folder of a bundle that may hold its weights.

    Raises:
        EncoderError: its weights are not there.
    """
    if params.detector == "haar":
        return HaarDetector(params)
    from emofuse.features.visual.centerface import CenterFace

    return CenterFace(params, assets)


def as_installed(params: VisualParams) -> VisualParams:
    """The same params with a detector that this machine has: `haar` where the network's weights are missing.

    That is said on stderr, once a process.
    """
    if params.detector == "haar" or (problem := _missing_weights()) is None:
        return params
    _notify(f"visual.detector: {problem}; faces are found by the Haar cascade (haar), which misses more of them")
    return params.model_copy(update={"detector": "haar"})


@cache
def _missing_weights() -> str | None:
    try:
        CENTERFACE.path()
    except EncoderError as error:
        return str(error)
    return None


@cache
def _notify(message: str) -> None:
    print(message, file=sys.stderr)


class HaarDetector:
    """Frontal faces by the Haar cascade of Viola and Jones (CVPR 2001) that OpenCV ships."""

    def __init__(self, params: VisualParams) -> None:
        self._params = params
        self._cascade = cv2.CascadeClassifier(str(CASCADE))

    def search(self, frame: Gray) -> list[Detection]:
        """All faces of a frame, largest first."""
        return [Detection(box) for box in self._anywhere(frame) or self._close_up(frame)]

    def near(self, frame: Gray, last: Detection) -> Detection | None:
        """A face that was seen in the frame before, looked for around its last place."""
        x, y, w, _ = last.box
        margin = round(w * NEAR_MARGIN)
        left, top = max(0, x - margin), max(0, y - margin)
        region = frame[top : y + w + margin, left : x + w + margin]
        boxes = self._detect(region, round(w * NEAR_LEAST), round(w * NEAR_MOST), NEAR_STEP)
        return Detection((boxes[0][0] + left, boxes[0][1] + top, *boxes[0][2:])) if boxes else None

    def _anywhere(self, frame: Gray) -> list[Box]:
        least = max(24, round(self._params.min_face * min(frame.shape)))
        return self._detect(frame, least, max(frame.shape), SCALE_STEP)

    def _close_up(self, frame: Gray) -> list[Box]:
        """A face that fills the frame, whose outline the cascade misses: it is looked for with room around it."""
        short = min(frame.shape)
        room = round(CLOSE_MARGIN * short)
        wide = _framed(frame, room, cv2.BORDER_CONSTANT)
        boxes = self._detect(wide, round(CLOSE_LEAST * short), max(wide.shape), CLOSE_STEP)
        return [(x - room, y - room, w, h) for x, y, w, h in boxes]

    def _detect(self, image: Gray, least: int, most: int, step: float) -> list[Box]:
        if not image.size:
            return []
        boxes = self._cascade.detectMultiScale(
            image, step, self._params.min_neighbors, minSize=(least, least), maxSize=(most, most)
        )
        placed: list[Box] = [(int(x), int(y), int(w), int(h)) for x, y, w, h in boxes]
        return sorted(placed, key=lambda box: (-box[2] * box[3], *box))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(0, across) * max(0, down)
    return common / (one[2] * one[3] + other[2] * other[3] - common)


def is_new(face: Detection, others: Sequence[Detection]) -> bool:
    """Whether a face is none of the others, by its place."""
    return all(overlap(face.box, other.box) < SAME for other in others)


def cut_out(frame: Gray, box: Box, side: int, margin: float = 0.0) -> Gray:
    """A face and its surroundings, uint8 of shape (side, side).

    Args:
        frame: shape (height, width).
        box: the face; what it has beyond the frame repeats the frame's edge.
        side: pixels.
        margin: on each side, as a share of the box.
    """
    x, y, w, h = with_margin(box, margin)
    over = max(0, -x, -y, x + w - frame.shape[1], y + h - frame.shape[0])
    if over:
        frame = _framed(frame, over, cv2.BORDER_REPLICATE)
    return resized(frame[y + over : y + over + h, x + over : x + over + w], side, side)


def with_margin(box: Box, margin: float) -> Box:
    """A box and its surroundings, on each side a share of its width."""
    grown = round(margin * box[2])
    return box[0] - grown, box[1] - grown, box[2] + 2 * grown, box[3] + 2 * grown


def _framed(frame: Gray, room: int, border: int) -> Gray:
    return cv2.copyMakeBorder(frame, room, room, room, room, border).astype(np.uint8, copy=False)
