"""What is measured on one face, and over the faces of a clip."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.features.contract import FeatureGroup, statistic_names, statistics
from emofuse.features.visual.alignment import FACE
from emofuse.features.visual.detectors import Gray

CELLS = 4  # edge statistics are taken over a grid of 4 x 4 cells
CANNY = (60, 120)
HOG_CELL = 12  # pixels of a face; a block is 2 x 2 cells, a histogram has 9 directions
HOG = cv2.HOGDescriptor((FACE, FACE), (2 * HOG_CELL,) * 2, (HOG_CELL,) * 2, (HOG_CELL,) * 2, 9)
BLOCKS = FACE // HOG_CELL - 1  # in a row and in a column
HOG_SIZE = (BLOCKS + 1) // 2 * BLOCKS * 36  # the left half, with the middle column
MOUTH = (slice(56, 96), slice(16, 80))  # rows and columns of a face; it says most, so it is looked at more closely
MOUTH_CELL = 8
MOUTH_HOG = cv2.HOGDescriptor((64, 40), (2 * MOUTH_CELL,) * 2, (MOUTH_CELL,) * 2, (MOUTH_CELL,) * 2, 9)
MOUTH_SIZE = 4 * 4 * 36  # of 4 x 7 blocks

PIXELS = FeatureGroup(
    name="pixels",
    columns=tuple(statistic_names(f"face_pixel_{name}" for name in ("mean", "std", "min", "max"))),
    formula="mean, standard deviation, minimum and maximum of the face's brightness in a frame, and of each the same "
    "over the clip",
    unit="1 (0 black, 1 white)",
    source="the original system",
)
EDGES = FeatureGroup(
    name="edges",
    columns=tuple(statistic_names(f"face_edge_{name}" for name in ("density", "std", "min", "max"))),
    formula="share of edge pixels in the face, and its standard deviation, minimum and maximum over 4 x 4 cells, and "
    "of each the mean, standard deviation, minimum and maximum over the clip",
    unit="1 (share of pixels)",
    source="the original system; Canny, PAMI 1986, by OpenCV",
)
HOG_GROUP = FeatureGroup(
    name="hog",
    columns=tuple(f"hog_{index:04d}_{over}" for over in ("mean", "peak") for index in range(HOG_SIZE)),
    formula="histogram of gradient directions of the upright face and its mirror image: its mean over the clip, and "
    "the difference from that in the frame where it is largest, the peak of the expression",
    unit="1",
    source="Dalal and Triggs, CVPR 2005, by OpenCV",
)

MOUTH_GROUP = FeatureGroup(
    name="mouth",
    columns=tuple(f"mouth_{index:03d}_{over}" for over in ("mean", "peak") for index in range(MOUTH_SIZE)),
    formula="the same of the mouth and what is around it (the middle 64 x 40 of a face of 96 x 96 pixels, from 56 "
    "down), in cells of 8 pixels where those of the face have 12",
    unit="1",
    source="Dalal and Triggs, CVPR 2005, by OpenCV",
)


def pixels(faces: list[Gray]) -> NDArray[np.float32]:
    """Statistics over a clip of the brightness of n faces, each uint8 of shape (height, width)."""
    shades = [face.astype(np.float32) / 255 for face in faces]
    return statistics(np.array([[face.mean(), face.std(), face.min(), face.max()] for face in shades]).T)


def edges(faces: list[Gray]) -> NDArray[np.float32]:
    """Statistics over a clip of the edges of n faces, each uint8 of shape (96, 96)."""
    rows = []
    for face in faces:
        cells = cv2.Canny(face, *CANNY).reshape(CELLS, FACE // CELLS, CELLS, FACE // CELLS).mean(axis=(1, 3)) / 255
        rows.append([cells.mean(), cells.std(), cells.min(), cells.max()])
    return statistics(np.array(rows).T)


def hog(faces: list[Gray]) -> NDArray[np.float32]:
    """Mean and peak over a clip of the gradient histograms of n upright faces, each uint8 of shape (96, 96)."""
    return mean_and_peak(np.stack([_histogram(face, HOG, HOG_SIZE) for face in faces]))


def mouth(faces: list[Gray]) -> NDArray[np.float32]:
    """The same of their mouths."""
    parts = [np.ascontiguousarray(face[MOUTH]) for face in faces]
    return mean_and_peak(np.stack([_histogram(part, MOUTH_HOG, MOUTH_SIZE) for part in parts]))


def _histogram(face: Gray, descriptor: cv2.HOGDescriptor, size: int) -> NDArray[np.float32]:
    """The face and its mirror image as one, of which half of the blocks say all; OpenCV gives them by column."""
    mirrored = np.ascontiguousarray(face[:, ::-1])
    both = [np.ravel(descriptor.compute(picture))[:size] for picture in (face, mirrored)]
    return np.asarray(np.mean(both, axis=0), dtype=np.float32)


def mean_and_peak(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of n rows, and the difference from it of the row that differs most.

    Args:
        rows: shape (n, d).

    Returns:
        float32 of shape (2 * d,).
    """
    mean = rows.mean(axis=0)
    away = rows - mean
    return np.concatenate([mean, away[np.argmax((away**2).sum(axis=1))]]).astype(np.float32)
