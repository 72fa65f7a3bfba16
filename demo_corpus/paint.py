"""Soft shapes on the canvas of a head: the brushes of `head.py` and `hair.py`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (480, 620)
"""Width and height of a head's canvas in pixels, twice as large as it appears."""
CENTRE = (240, 300)
"""The middle between crown and chin; shapes are placed relative to it."""

Layer = NDArray[np.float32]
"""A mask `(620, 480)` of 0 to 1, or a colour `(620, 480, 3)` of 0 to 255 as blue, green, red."""


def empty() -> Layer:
    """A mask of nothing."""
    return np.zeros((SIZE[1], SIZE[0]), dtype=np.float32)


def polygon(points: NDArray[np.float64], rounds: int = 0) -> Layer:
    """Mask of a polygon `(n, 2)`; its corners are cut off `rounds` times (Chaikin's curve)."""
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], axis=1).reshape(-1, 2)
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    cv2.fillPoly(mask, [np.round((points + CENTRE) * 16).astype(np.int32)], (255,), cv2.LINE_AA, 4)
    return np.divide(mask, 255, dtype=np.float32)


def mirrored(right: list[tuple[float, float]]) -> NDArray[np.float64]:
    """A closed outline, even on both sides, from the points of its right half from top to bottom."""
    half = np.array(right, float)
    return np.concatenate([half, half[::-1] * (-1, 1)])


def ellipse(middle: tuple[float, float], radii: tuple[float, float]) -> Layer:
    """Mask of an ellipse."""
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return polygon(np.stack([middle[0] + radii[0] * np.cos(angle), middle[1] + radii[1] * np.sin(angle)], axis=1))


def glow(middle: tuple[float, float], radii: tuple[float, float]) -> Layer:
    """Mask of a spot that fades out as a Gaussian with the given deviations."""
    x = (np.arange(SIZE[0], dtype=np.float32) - CENTRE[0] - middle[0]) / radii[0]
    y = (np.arange(SIZE[1], dtype=np.float32) - CENTRE[1] - middle[1]) / radii[1]
    return np.outer(np.exp(-0.5 * y**2), np.exp(-0.5 * x**2)).astype(np.float32)


def smooth(mask: Layer, sigma: float) -> Layer:
    """Blur a mask or a colour."""
    return cv2.GaussianBlur(mask, (0, 0), sigma).astype(np.float32)


def lay(colour: Layer, alpha: Layer, paint: Layer, mask: Layer) -> None:
    """Lay paint onto a colour layer and its alpha, in place: mixed over what is there, pure where nothing is."""
    share = (mask / np.maximum(mask + alpha * (1 - mask), 1e-6))[..., None]
    colour += (paint - colour) * share
    alpha += (1 - alpha) * mask
