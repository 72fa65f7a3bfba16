"""Turning a face upright by its eyes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.features.visual.detectors import Gray

FACE = 96  # pixels; a common size makes edge density independent of how near the face is
MARGIN = 0.125  # of surroundings in a patch, on each side, so that a turned face has no empty corners
PATCH = round(FACE * (1 + 2 * MARGIN))
# The second, which also knows glasses, is asked where the first finds no pair.
EYES = [Path(cv2.__file__).parent / "data" / f"haarcascade_eye{which}.xml" for which in ("", "_tree_eyeglasses")]
EYE_LEAST, EYE_MOST = 14, 36  # pixels
# Where each eye is looked for, and where both lie in a face that the frontal cascade found upright; pixels of a face.
WINDOWS = ((18, 55, 6, 50), (18, 55, 46, 90))
PLACES = np.array([[27.8, 37.2], [67.1, 36.9]])
EYE_FRAMES = 4  # of a clip, at most, in which the eyes are looked for: it costs most of what follows detection
MOST_TURN, LEAST_SIZE, MOST_SIZE = 0.35, 0.85, 1.2  # radians; farther off, an eyebrow or a nostril was taken for an eye
Points = NDArray[np.float64]


class Aligner:
    """Eyes by the cascades that OpenCV ships; a face whose eyes aren't found is left as it stands."""

    def __init__(self) -> None:
        self._cascades = [cv2.CascadeClassifier(str(path)) for path in EYES]

    def faces(self, patches: Sequence[Gray]) -> list[Gray]:
        """The faces of patches of one clip, upright: uint8 of shape (96, 96) each.

        Eyes are found in some frames only, and not always where they are, so they are looked for in several over the
        clip, and their median places hold for all.
        """
        tried = patches[:: math.ceil(len(patches) / EYE_FRAMES)]
        found = [eyes for eyes in map(self._eyes, tried) if eyes is not None]
        if not found:
            return [plain(patch) for patch in patches]
        turn = _similarity(np.median(found, axis=0))
        return [cv2.warpAffine(patch, turn, (FACE, FACE)).astype(np.uint8, copy=False) for patch in patches]

    def _eyes(self, patch: Gray) -> Points | None:
        """Left and right eye, (x, y) in pixels of the plain face; None where they can't be a pair."""
        pairs = (self._pair(cascade, plain(patch)) for cascade in self._cascades)
        return next((pair for pair in pairs if pair is not None), None)

    @staticmethod
    def _pair(cascade: cv2.CascadeClassifier, face: Gray) -> Points | None:
        eyes = []
        for top, bottom, left, right in WINDOWS:
            boxes = cascade.detectMultiScale(
                face[top:bottom, left:right], 1.1, 3, minSize=(EYE_LEAST, EYE_LEAST), maxSize=(EYE_MOST, EYE_MOST)
            )
            if not len(boxes):
                return None
            x, y, w, h = max(boxes, key=lambda box: (box[2], -box[0], -box[1]))
            eyes.append((left + x + w / 2, top + y + h / 2))
        points = np.array(eyes, dtype=np.float64)
        across, down = points[1] - points[0]
        size = np.hypot(across, down) / (PLACES[1, 0] - PLACES[0, 0])
        plausible = LEAST_SIZE <= size <= MOST_SIZE and abs(np.arctan2(down, across)) <= MOST_TURN
        return points if plausible else None


def plain(patch: Gray) -> Gray:
    """The face of a patch as it stands, uint8 of shape (96, 96)."""
    edge = (PATCH - FACE) // 2
    return patch[edge : edge + FACE, edge : edge + FACE]


def _similarity(eyes: Points) -> Points:
    """The turn, size and shift that bring the eyes of a patch to their places, float64 of shape (2, 3)."""
    along, wanted = eyes[1] - eyes[0], PLACES[1] - PLACES[0]
    ratio = complex(*wanted) / complex(*along)
    turn = np.array([[ratio.real, -ratio.imag], [ratio.imag, ratio.real]])
    shift = PLACES.mean(axis=0) - turn @ (eyes.mean(axis=0) + (PATCH - FACE) // 2)
    return np.column_stack([turn, shift])
