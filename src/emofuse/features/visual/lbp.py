"""Local binary patterns of a face: the texture of its skin and folds."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.features.contract import FeatureGroup
from emofuse.features.visual.alignment import FACE
from emofuse.features.visual.detectors import Gray

GRID = 4  # cells in a row and in a column
RADII = (1, 2)  # pixels
EDGE = 2  # pixels left out on each side, so that the cells are of one size
CELL = (FACE - 2 * EDGE) // GRID
# The neighbours of a pixel in a circle, as (down, right); the mirror image of each is at the place that MIRRORED names.
CIRCLE = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
MIRRORED = tuple(CIRCLE.index((down, -right)) for down, right in CIRCLE)
CODES = np.arange(256)
BITS = CODES[:, None] >> np.arange(8) & 1  # (256, 8)
MIRROR = BITS @ (1 << np.array(MIRRORED))  # the code that the mirror image has where the face has a code
UNIFORM = (np.diff(BITS, axis=1, append=BITS[:, :1]) != 0).sum(axis=1) <= 2  # changes round the circle
PATTERNS = int(UNIFORM.sum()) + 1  # one for each uniform code, one for all others
BINS = np.where(UNIFORM, np.cumsum(UNIFORM) - 1, PATTERNS - 1)
MEMBERS = np.eye(PATTERNS)[BINS]  # (256, PATTERNS), which codes a pattern has

LBP = FeatureGroup(
    name="lbp",
    columns=tuple(f"lbp_{radius}_{index:03d}" for radius in RADII for index in range(GRID * GRID // 2 * PATTERNS)),
    formula="uniform local binary patterns (8 neighbours at 1 and at 2 pixels, after a slight blur) of the upright "
    "face and its mirror image, over the clip: square root of each pattern's share of a cell, in the left half of "
    "4 x 4 cells",
    unit="1 (square root of a share)",
    source="Ojala, Pietikäinen and Mäenpää, PAMI 2002; on faces Ahonen, Hadid and Pietikäinen, PAMI 2006",
)


def lbp(faces: list[Gray]) -> NDArray[np.float32]:
    """The columns of `LBP` for n upright faces, each uint8 of shape (96, 96).

    The square root is the Hellinger kernel of histograms: rare patterns count for more, and the columns have one scale.
    """
    soft = [cv2.GaussianBlur(face, (0, 0), 1).astype(np.uint8, copy=False) for face in faces]
    counts = np.stack([np.sum([_counts(face, radius) for face in soft], axis=0) for radius in RADII])
    # A cell of the mirror image is the cell across, with the codes mirrored, so no second picture need be looked at.
    both = (counts + counts[:, :, ::-1, MIRROR])[:, :, : GRID // 2]
    shares = both @ MEMBERS / (2 * len(faces) * CELL * CELL)
    return np.asarray(np.sqrt(shares).ravel(), dtype=np.float32)


def _counts(face: Gray, radius: int) -> NDArray[np.int64]:
    """How often each code is in each cell, shape (GRID, GRID, 256)."""
    inner = slice(EDGE, FACE - EDGE)
    middle = face[inner, inner]
    codes = np.zeros(middle.shape, np.uint8)
    for bit, (down, right) in enumerate(CIRCLE):
        top, left = EDGE + radius * down, EDGE + radius * right
        there = face[top : top + len(middle), left : left + len(middle)]
        codes |= (there >= middle).view(np.uint8) << np.uint8(bit)
    cells = np.arange(FACE - 2 * EDGE) // CELL
    keys = (cells[:, None] * GRID + cells) * 256 + codes
    return np.bincount(keys.ravel(), minlength=GRID * GRID * 256).reshape(GRID, GRID, 256)
