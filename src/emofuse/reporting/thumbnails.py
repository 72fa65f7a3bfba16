"""Small pictures of clips, as text that stands in a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

import cv2

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
            encoded = cv2.imencode(".webp", middle_frame(root / clip, WIDTH), [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1]
        except MediaError:
            continue
        pictures[clip] = "data:image/webp;base64," + base64.b64encode(encoded.tobytes()).decode()
    return pictures
