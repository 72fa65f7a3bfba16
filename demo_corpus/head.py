"""The parts of a speaker's head that stay as they are through a clip: skull, skin, nose, ears and hair.

A head is painted on a canvas of its own, twice as large as it appears, with premultiplied alpha; `face.py` adds eyes,
brows and mouth for each picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_corpus.cast import CAST, Speaker
from demo_corpus.expression import Expression
from demo_corpus.hair import hair_before, hair_behind, hair_colour
from demo_corpus.paint import SIZE, Layer, ellipse, empty, glow, lay, polygon, smooth

_SKULL, _CHIN, _HALF = 186, 190, 146


@dataclass(frozen=True)
class _Parts:
    """What all clips of a speaker share: within `box`, a head is `rest + weight * skin`; elsewhere it is `base`.

    All but `base` are cut to the box; the skin is built from `shade` and the masks `rosy` and `beard`.
    """

    base: NDArray[np.uint8]
    box: tuple[slice, slice]
    rest: Layer
    weight: Layer
    shade: Layer
    rosy: Layer
    beard: Layer


def paint_head(speaker: Speaker, shown: Expression) -> NDArray[np.uint8]:
    """Paint a head seen from the front, without brows, eyes and mouth: `(620, 480, 4)`, blue, green, red, alpha."""
    parts = _parts(speaker)
    flush, pallor = np.clip([shown.flush, shown.pallor], 0, 1.2)
    tone = np.array(speaker.skin) * (1 + np.array((-0.16, -0.14, 0.03)) * flush)
    tone = (tone + (np.array((206, 208, 214)) - tone) * 0.42 * pallor).astype(np.float32)
    blood = np.array((0.9, 0.8, -0.1), np.float32) * (0.10 + 0.16 * flush)
    skin = parts.shade[..., None] * (1 - parts.rosy[..., None] * blood) * tone
    if speaker.beard:
        skin += (np.array(speaker.hair, np.float32) - skin) * parts.beard[..., None]
    head = parts.base.copy()
    head[..., :3][parts.box] = np.clip(parts.rest + parts.weight[..., None] * skin, 0, 255)
    return head


def paint_back(speaker: Speaker) -> NDArray[np.uint8]:
    """Paint a head seen from behind: the same canvas as `paint_head`."""
    colour, alpha = _behind(speaker)
    # One colour for all of the hair, and dull: a bright round patch would pass for a face.
    crown = ellipse((0, -44), (_HALF * speaker.width + 6, 142))
    hair = smooth(np.maximum(np.maximum(hair_behind(speaker), hair_before(speaker)), crown), 1.5)
    lay(colour, alpha, _plain(speaker.skin, 0.66), smooth(ellipse((0, 80), (_HALF * 0.66, 116)), 1.5))
    lay(colour, alpha, hair_colour(speaker, hair) * 0.72, hair)
    return np.dstack([np.clip(colour * alpha[..., None], 0, 255), alpha * 255]).astype(np.uint8)


@lru_cache(maxsize=len(CAST))
def _parts(speaker: Speaker) -> _Parts:
    colour, alpha = _behind(speaker)
    face, before = smooth(polygon(_outline(speaker)), 1.2), hair_before(speaker)
    under = 1 - 0.30 * np.roll(smooth(before, 7), 8, axis=0)  # the shadow that the hair throws
    rest = colour * (alpha * (1 - face) * under * (1 - before))[..., None]
    rest = rest + hair_colour(speaker, before) * before[..., None]
    alpha = 1 - (1 - alpha) * (1 - face) * (1 - before)
    weight = face * under * (1 - before)
    left, top, width, height = cv2.boundingRect((weight > 0).astype(np.uint8))
    box = slice(top, top + height), slice(left, left + width)
    base = np.dstack([np.clip(rest, 0, 255), alpha * 255]).astype(np.uint8)
    return _Parts(base, box, rest[box], weight[box], _shade(speaker, face)[box], _rosy()[box], _beard(speaker)[box])


def _behind(speaker: Speaker) -> tuple[Layer, Layer]:
    colour, alpha = np.zeros((SIZE[1], SIZE[0], 3), np.float32), empty()
    mask = hair_behind(speaker)
    lay(colour, alpha, hair_colour(speaker, mask) * 0.72, mask)
    for side in (-1, 1):
        middle = (side * (_HALF * speaker.width + 3), 6)
        lay(colour, alpha, _plain(speaker.skin, 0.78), smooth(ellipse(middle, (19, 38)), 1.2))
        lay(colour, alpha, _plain(speaker.skin, 0.60), 0.8 * smooth(ellipse(middle, (9, 24)), 3))
    return colour, alpha


def _outline(speaker: Speaker) -> NDArray[np.float64]:
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    y = np.where(np.cos(angle) > 0, -_SKULL, -_CHIN) * np.cos(angle)
    narrowing = 1 - speaker.jaw * np.clip(y / _CHIN, 0, 1) ** 1.7
    x = _HALF * speaker.width * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.86 * narrowing
    return np.stack([x, y], axis=1)


def _shade(speaker: Speaker, face: Layer) -> Layer:
    # The edge of the face turns away from the light.
    shade = 0.66 + 0.29 * np.clip(smooth(face, 34) * 1.9 - 0.86, 0, 1) ** 0.8
    for side in (-1, 1):
        # Dark sockets between a light brow and light cheeks are what a face detector looks for.
        shade -= 0.27 * glow((side * 60, -28), (46, 27)) + 0.10 * glow((side * 24, -14), (12, 34))
        shade += 0.09 * glow((side * 74, 50), (42, 36)) - 0.07 * glow((side * 104, 108), (26, 60))
        shade -= 0.20 * glow((side * 17, 50), (9, 5)) + 0.08 * glow((side * 27, 42), (7, 16))
    shade += 0.10 * glow((0, -98), (84, 44)) + 0.12 * glow((0, 4), (9, 50)) + 0.08 * glow((0, 34), (13, 10))
    shade -= 0.12 * glow((0, 58), (24, 7)) + 0.11 * glow((0, 136), (34, 8)) - 0.06 * glow((0, 160), (30, 14))
    return np.asarray(shade * _freckles() if speaker.freckles else shade, np.float32)


def _freckles() -> Layer:
    rng = np.random.default_rng(0)
    spots = empty()
    for _ in range(46):
        x, y = 240 + rng.choice((-1, 1)) * rng.normal(62, 24), 300 + rng.normal(36, 15)
        cv2.circle(spots, (round(x), round(y)), int(rng.integers(1, 4)), (rng.uniform(0.3, 0.8),), -1, cv2.LINE_AA)
    skin: Layer = 1 - 0.24 * smooth(spots, 0.8)
    return skin


def _rosy() -> Layer:
    return glow((-84, 62), (34, 26)) + glow((84, 62), (34, 26))


def _beard(speaker: Speaker) -> Layer:
    jaw = smooth(ellipse((0, 128), (150, 100)), 10) - smooth(ellipse((0, 50), (112, 78)), 12)
    lip = smooth(ellipse((0, 77), (46, 10)), 4)
    return np.asarray(np.clip(np.clip(jaw, 0, 1) + 0.8 * lip, 0, 1) * 0.8 * speaker.beard, np.float32)


def _plain(colour: tuple[int, int, int], gain: float) -> Layer:
    return np.broadcast_to(np.array(colour, np.float32) * gain, (SIZE[1], SIZE[0], 3))
