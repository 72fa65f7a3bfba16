"""Turning a face upright by its eyes, nose and mouth."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from emofuse.features.visual.detectors import Box, Detection, Gray, Points, with_margin

FACE = 96  # pixels; a common size makes edge density independent of how near the face is
MARGIN = 0.25  # of surroundings in a patch, on each side, so that a turned face has no empty corners
PATCH = round(FACE * (1 + 2 * MARGIN))
# Where the eyes, the nose and the corners of the mouth are in an upright face, (x, y) in its pixels: the medians over
# stills whose squares the Haar cascade and CenterFace agree on, made the same on both sides.
PLACES = np.array([[27.5, 38.4], [68.5, 38.4], [48.0, 60.9], [31.5, 78.6], [64.5, 78.6]])


def upright(face: Detection) -> Callable[[Gray], Gray]:
    """What turns a patch of a face upright, to uint8 of shape (96, 96).

    The similarity that brings its landmarks nearest to their places, by least squares (Umeyama, PAMI 1991); a face
    without landmarks is left as it stands. A patch is as `cut_out` gives it with `PATCH` and `MARGIN`.
    """
    if face.landmarks is None:
        return plain
    turn = similarity(in_patch(face.landmarks, face.box))
    return lambda patch: cv2.warpAffine(patch, turn, (FACE, FACE), borderMode=cv2.BORDER_REPLICATE).astype(
        np.uint8, copy=False
    )


def plain(patch: Gray) -> Gray:
    """The face of a patch as it stands, uint8 of shape (96, 96)."""
    edge = (PATCH - FACE) // 2
    return patch[edge : edge + FACE, edge : edge + FACE]


def in_patch(landmarks: Points, box: Box) -> Points:
    """Points of a frame as pixels of the patch of a box."""
    left, top, width, _ = with_margin(box, MARGIN)
    return (landmarks - [left, top]) * (PATCH / width)


def similarity(landmarks: Points) -> Points:
    """The turn, size and shift that bring landmarks nearest to `PLACES`, float64 of shape (2, 3)."""
    points, places = landmarks @ [1, 1j], PLACES @ [1, 1j]
    spread = points - points.mean()
    ratio = np.vdot(spread, places - places.mean()) / np.vdot(spread, spread)
    turn = np.array([[ratio.real, -ratio.imag], [ratio.imag, ratio.real]])
    return np.column_stack([turn, PLACES.mean(axis=0) - turn @ landmarks.mean(axis=0)])
