"""Small pictures of clips, as text that stands in a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.media.decode import middle_frame

WIDTH = 192  # pixels
QUALITY = 60  # of WebP, of 100


def thumbnails(clips: Iterable[str | None], root: Path) -> dict[str, str]:
    """A data URI of the middle frame of each clip that has one.

    Args:
        clips: paths relative to `root`; those that are None or can't be decoded have no picture.
        root: the folder that holds the clips.
    """
    pictures = {}
    for clip in sorted({clip for clip in clips if clip}):
        try:
            pictures[clip] = data_uri(middle_frame(root / clip, WIDTH))
        except MediaError:
            continue
    return pictures


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture, of shape (height, width) or (height, width, 3) as OpenCV has them, as WebP."""
    encoded = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1]
    return "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode()
