"""The moving parts of a face: brows, eyes, mouth and the lines that an emotion draws."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_corpus.cast import Colour, Speaker
from demo_corpus.expression import Expression
from demo_corpus.paint import CENTRE

Canvas = NDArray[np.uint8]
Floats = NDArray[np.float64]
_EYE_X, _EYE_Y, _EYE_HALF = 60, -16, 29
_BROW_Y, _MOUTH_Y = -62, 100
# The shape of the lips from one corner of the mouth to the other: an arch, a fuller one, the dent of the upper lip.
_ALONG_LIPS = np.linspace(-1, 1, 31)
_ROUND_LIPS = np.clip(1 - _ALONG_LIPS**2, 0, 1)
_FULL_LIPS = _ROUND_LIPS**0.6
_BOW = 1 - 0.35 * np.exp(-((_ALONG_LIPS / 0.13) ** 2))
_SHIFT = 4  # coordinates in sixteenths of a pixel: motion without jumps


def draw_eyes(canvas: Canvas, speaker: Speaker, shown: Expression, lids: float) -> None:
    """Draw brows, eyes and lines onto a painted head: what does not follow the sound.

    Args:
        canvas: copy of the picture that `paint_head` returned; changed in place.
        speaker: whose colours to use.
        shown: the expression of this moment.
        lids: how far the eyes are open, 0 (a blink) to 1.
    """
    shadow = _toned(speaker, shown, 0.55)
    _lines(canvas, shown, _toned(speaker, shown, 0.66))
    for side in (-1, 1):
        _eye(canvas, speaker, shown, side, lids, shadow)
        _brow(canvas, speaker, shown, side)


def draw_mouth(canvas: Canvas, speaker: Speaker, shown: Expression, opening: float) -> None:
    """Draw the mouth, and drops over it, onto a head that has its eyes.

    Args:
        canvas: copy of a picture that `draw_eyes` has changed; changed in place.
        speaker: whose colours to use.
        shown: the expression of this moment.
        opening: how far speech opens the mouth, 0 to 1.
    """
    _mouth(canvas, speaker, shown, opening)
    _drops(canvas, shown)


def _eye(canvas: Canvas, speaker: Speaker, shown: Expression, side: int, lids: float, shadow: Colour) -> None:
    along = np.linspace(-1, 1, 21)
    bulge = np.clip(1 - along**2, 0, 1) ** 0.72
    x = side * _EYE_X + along * _EYE_HALF
    tilt = -2.5 * side * along
    top = _EYE_Y + tilt - bulge * max(shown.upper * lids, -shown.lower + 3.0)
    bottom = _EYE_Y + tilt + bulge * shown.lower
    outline = _points(np.concatenate([x, x[::-1]]), np.concatenate([top, bottom[::-1]]))
    left, upper = int(CENTRE[0] + side * _EYE_X - 40), int(CENTRE[1] + _EYE_Y - 40)
    patch = canvas[upper : upper + 80, left : left + 80]
    ball = patch.copy()
    ball[..., :3] = (226, 232, 236)
    cv2.rectangle(ball, (0, 0), (80, int(40 - shown.upper * lids + 7)), (176, 184, 192, 255), -1)
    middle = ((40 * 16), int((40 + shown.gaze) * 16))
    for radius, colour in ((15.5, (30, 28, 26)), (14, speaker.eyes), (7.0, (18, 16, 16))):
        cv2.circle(ball, middle, int(radius * 16), (*colour, 255), -1, cv2.LINE_AA, _SHIFT)
    cv2.circle(ball, ((45 * 16), int((34 + shown.gaze) * 16)), 50, (250, 250, 250, 255), -1, cv2.LINE_AA, _SHIFT)
    mask = np.zeros((80, 80), np.uint8)
    offset = np.array((left * 16, upper * 16), np.int32)
    cv2.fillPoly(mask, [outline - offset], 255, cv2.LINE_8, _SHIFT)
    cv2.copyTo(ball, mask, patch)
    lash = tuple(int(value * 0.35) for value in shadow)
    _stroke(canvas, x, bottom, shadow, 2)
    _stroke(canvas, x, top, lash, 3 + round(2 * speaker.lashes))
    crease = top - 5.0 - 0.25 * shown.upper * bulge
    _stroke(canvas, x[3:-3], crease[3:-3], shadow, 2)
    if speaker.lashes > 0.6:
        outer = side * (_EYE_X + _EYE_HALF)
        _stroke(canvas, np.array([outer - side * 3, outer + side * 6]), np.array([_EYE_Y - 2.0, _EYE_Y - 8.0]), lash, 3)


def _brow(canvas: Canvas, speaker: Speaker, shown: Expression, side: int) -> None:
    along = np.linspace(0, 1, 16)
    x = side * (28 - shown.squeeze + along * (78 + 0.6 * shown.squeeze))
    arch = np.sin(np.pi * along**0.8)
    y = _BROW_Y - shown.raise_ - shown.inner * (1 - along) ** 1.4 + 0.45 * shown.inner * along**1.5
    y = y - arch * (9 + 0.30 * max(shown.raise_, 0)) + 4 * along
    thick = (3.2 + 4.0 * (1 - along) ** 0.7) * (1.25 - 0.4 * speaker.lashes)
    colour = tuple(int(value * 0.45) for value in speaker.hair)
    _fill(canvas, np.concatenate([x, x[::-1]]), np.concatenate([y - thick, (y + thick)[::-1]]), colour)


def _mouth(canvas: Canvas, speaker: Speaker, shown: Expression, opening: float) -> None:
    along, full, bow = _ALONG_LIPS, _FULL_LIPS, _BOW
    half = 47 * shown.stretch * (1 - 0.10 * opening)
    bulge = _ROUND_LIPS ** (0.75 - 0.38 * min(max(shown.square, 0), 1))
    gap = shown.gape * (0.75 + 0.25 * opening) + 20 * opening
    middle = _MOUTH_Y - shown.curve * (along**2 - 0.35)
    sneer = shown.sneer * np.exp(-(((along - 0.30) / 0.5) ** 2)) * full
    top = middle - 0.34 * gap * bulge - sneer
    bottom = middle + 0.66 * gap * bulge + 0.12 * sneer
    x = along * half
    lips = tuple(int(value) for value in speaker.lips)
    lower = tuple(min(int(value * 1.12), 255) for value in lips)
    both = np.concatenate([x, x[::-1]])
    _fill(canvas, both, np.concatenate([top - 10 * full * bow, middle[::-1]]), lips)
    _fill(canvas, both, np.concatenate([middle, (bottom + 14 * full)[::-1]]), lower)
    if gap + np.max(sneer) > 3:
        inside = np.concatenate([top, bottom[::-1]])
        _fill(canvas, both, inside, (30, 22, 52))
        if gap > 24:
            floor = np.maximum(bottom - 0.30 * gap * bulge, top)
            _fill(canvas, both, np.concatenate([floor, bottom[::-1]]), (78, 68, 150))
        show = np.clip(shown.teeth, 0, 1) * np.minimum(bottom - top, 15.0)
        if np.max(show) > 2:
            _fill(canvas, both[3:-3], np.concatenate([top, (top + show)[::-1]])[3:-3], (222, 230, 234))
        if shown.square > 0.3 and gap > 16:
            teeth = np.clip(shown.teeth, 0, 1) * np.minimum((bottom - top) * 0.4, 9.0)
            _fill(canvas, both[3:-3], np.concatenate([bottom - teeth, bottom[::-1]])[3:-3], (206, 214, 220))
    else:
        _stroke(canvas, x, middle, (44, 36, 84), 3)


def _lines(canvas: Canvas, shown: Expression, shadow: Colour) -> None:
    for side in (-1, 1):
        if shown.furrow > 0.1:
            x = side * (13 - 0.25 * shown.squeeze)
            bend = x + side * np.array([2, 0, -3])
            _stroke(canvas, bend, np.array([-88.0, -76, -58]), shadow, round(5 * shown.furrow))
        if shown.smile > 0.1:
            t = np.linspace(0, 1, 9)
            x_fold = side * (32 + 40 * shown.stretch * np.sin(t * 1.9))
            _stroke(canvas, x_fold, 50 + 66 * t - shown.curve * 0.3, shadow, round(4 * shown.smile))
        if shown.smile > 0.8:
            for slope in (-9, 0, 9):
                _stroke(canvas, side * np.array([96.0, 116]), _EYE_Y + 4 + slope * np.array([0.4, 1]), shadow, 2)
        if shown.nose > 0.3:
            for step in range(3):
                x_nose = side * np.array([3.0, 15 - 2 * step, 22 - 3 * step])
                y_nose = -34 + 13 * step + np.array([0.0, -2, -8])
                _stroke(canvas, x_nose, y_nose, shadow, round(3.4 * shown.nose))
    if shown.forehead > 0.2:
        t = np.linspace(-1, 1, 13)
        for step in range(2):
            width = 70 - 14 * step
            _stroke(canvas, t * width, -104 - 15 * step - 5 * np.cos(t * 3), shadow, round(3.2 * shown.forehead))


def _drops(canvas: Canvas, shown: Expression) -> None:
    for strength, x, y in ((shown.tear, -_EYE_X - 6, 26), (shown.sweat, 96, -96)):
        if strength > 0.75:
            t = np.linspace(0, 2 * np.pi, 20)
            _fill(canvas, x + 6.5 * np.sin(t) * np.sin(t / 2) ** 1.4, y - 13 * np.cos(t), (240, 226, 206))
            _stroke(canvas, np.array([x - 2.0, x - 1]), np.array([y + 4.0, y + 7]), (255, 255, 255), 2)


def _toned(speaker: Speaker, shown: Expression, gain: float) -> Colour:
    blue, green, red = (int(value * gain * (1 - 0.12 * shown.flush)) for value in speaker.skin)
    return blue, green, red


def _points(x: Floats, y: Floats) -> NDArray[np.int32]:
    points = np.empty((len(x), 2))
    points[:, 0], points[:, 1] = x, y
    return np.rint((points + CENTRE) * 16).astype(np.int32)


def _fill(canvas: Canvas, x: Floats, y: Floats, colour: tuple[int, ...]) -> None:
    cv2.fillPoly(canvas, [_points(x, y)], (*colour, 255), cv2.LINE_AA, _SHIFT)


def _stroke(canvas: Canvas, x: Floats, y: Floats, colour: tuple[int, ...], thickness: int) -> None:
    cv2.polylines(canvas, [_points(x, y)], False, (*colour, 255), max(thickness, 1), cv2.LINE_AA, _SHIFT)
