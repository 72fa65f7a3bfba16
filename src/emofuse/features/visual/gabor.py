"""Gabor energies of a face: how strongly it is striped, in which direction and how finely."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.features.contract import FeatureGroup
from emofuse.features.visual.alignment import FACE
from emofuse.features.visual.detectors import Gray

WAVES = (6, 12)  # pixels
TURNS = 6  # directions in half a circle
GRID = 8  # cells in a row and in a column
FRAMES = 3  # of a clip, at most: a face costs as much as all its other columns together
FLAT = 8  # pixels; what varies more slowly is light, not face
LOWEST = 1e-6  # energy of a flat face
# Direction t of the mirror image is half a circle less t.
MIRRORED = [scale * TURNS + -turn % TURNS for scale in range(len(WAVES)) for turn in range(TURNS)]

GABOR = FeatureGroup(
    name="gabor",
    columns=tuple(f"gabor_{index:03d}" for index in range(GRID * GRID // 2 * len(WAVES) * TURNS)),
    formula="Gabor energies (waves of 6 and 12 pixels, 6 directions) of the upright face and its mirror image, over at "
    "most 3 frames of the clip: square root of each energy's mean in a cell by its mean in the face, in the left half "
    "of 8 x 8 cells",
    unit="1 (square root of a ratio)",
    source="Lyons, Akamatsu, Kamachi and Gyoba, FG 1998; by OpenCV",
)


def _carriers() -> list[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """Wave, cosine and sine of each filter. By them a filter is a Gaussian blur, which is quick, as it is separable."""
    down, right = np.mgrid[:FACE, :FACE] - (FACE - 1) / 2
    angles = [math.pi / TURNS * turn for turn in range(TURNS)]
    phases = [(w, 2 * math.pi / w * (math.cos(a) * right + math.sin(a) * down)) for w in WAVES for a in angles]
    return [(wave, np.cos(phase).astype(np.float32), np.sin(phase).astype(np.float32)) for wave, phase in phases]


CARRIERS = _carriers()


def gabor(faces: list[Gray]) -> NDArray[np.float32]:
    """The columns of `GABOR` for n upright faces, each uint8 of shape (96, 96)."""
    energies = np.mean([_energies(face) for face in faces[:: math.ceil(len(faces) / FRAMES)]], axis=0)
    both = (energies + energies[:, ::-1, MIRRORED]) / 2
    ratios = both / (both.mean(axis=(0, 1)) + LOWEST)
    return np.asarray(np.sqrt(ratios[:, : GRID // 2]).ravel(), dtype=np.float32)


def _energies(face: Gray) -> NDArray[np.float32]:
    """Mean energy of each filter in each cell, shape (GRID, GRID, filters)."""
    light = face.astype(np.float32) / 255
    detail = light - cv2.GaussianBlur(light, (0, 0), FLAT)
    cells = []
    for wave, cosine, sine in CARRIERS:
        real, imaginary = (cv2.GaussianBlur(detail * carrier, (0, 0), wave / 2) for carrier in (cosine, sine))
        energy = np.sqrt(real**2 + imaginary**2)  # cv2.magnitude's last bit depends on where its input lies in memory
        cells.append(cv2.resize(energy, (GRID, GRID), interpolation=cv2.INTER_AREA))
    return np.stack(cells, axis=-1).astype(np.float32)
