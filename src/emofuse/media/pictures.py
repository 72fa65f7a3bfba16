"""Frames and still pictures as they are meant to be seen: upright, and gray from 0 to 255."""

from __future__ import annotations

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.reasons import Reason

# Pixel formats whose first plane is 8-bit brightness, so that nothing has to be converted.
LUMA_FIRST = ("yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "nv12", "gray")
JPEG_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG: black is 0 and white 255, where video has 16 and 235
FULL_RANGE = np.clip(np.round((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)


def gray_picture(data: bytes, width: int) -> NDArray[np.uint8]:
    """A still picture, such as a JPEG, in gray and no wider than `width`.

    Raises:
        MediaError: it can't be decoded.
    """
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        picture = None
    if picture is None:
        raise MediaError(Reason.NO_PICTURE)
    return narrowed(picture.astype(np.uint8, copy=False), width)


def resized(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture of another size; halved as often as that goes, which is quicker than one mean over uneven areas."""
    while picture.shape[1] >= 2 * width and picture.shape[0] >= 2 * height:
        half = picture.shape[1] // 2, picture.shape[0] // 2
        picture = cv2.resize(picture, half, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR_EXACT).astype(np.uint8, copy=False)


def narrowed(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """A picture no wider than `width`, aspect ratio kept."""
    if picture.shape[1] <= width:
        return picture
    return resized(picture, width, max(1, round(picture.shape[0] * width / picture.shape[1])))


def gray(frame: av.VideoFrame, width: int) -> NDArray[np.uint8]:
    """A frame as it is meant to be seen: black 0, white 255, turned as its display matrix says."""
    turns = round(frame.rotation / 90) % 4  # quarters, counterclockwise
    shades, full = _brightness(frame)
    shown = shades.shape[turns % 2 - 1]
    if shown > width:
        high, wide = (max(1, round(side * width / shown)) for side in shades.shape)
        shades = resized(shades, wide, high)
    if not full:
        shades = cv2.LUT(shades, FULL_RANGE).astype(np.uint8, copy=False)
    return np.ascontiguousarray(np.rot90(shades, turns))


def _brightness(frame: av.VideoFrame) -> tuple[NDArray[np.uint8], bool]:
    """The brightness of each pixel, and whether it uses the full range; nothing is copied where the frame has it."""
    name = frame.format.name
    if name not in LUMA_FIRST:
        return frame.to_ndarray(format="gray").astype(np.uint8, copy=False), True
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    full = frame.color_range == JPEG_RANGE or name == "gray" or name.startswith("yuvj")
    return rows[: frame.height, : frame.width], full
