"""Six hair styles: what lies behind the face, and what falls before it."""

from __future__ import annotations

import numpy as np

from demo_corpus.cast import Speaker
from demo_corpus.paint import CENTRE, SIZE, Layer, ellipse, empty, glow, mirrored, polygon, smooth

# Right halves of the outlines of hair that falls below the ears.
_FALLS: dict[str, list[tuple[float, float]]] = {
    "long": [(0, -222), (96, -204), (160, -120), (178, 0), (196, 130), (186, 262), (120, 292), (70, 240), (66, 170),
             (0, 160)],
    "bob": [(0, -214), (96, -196), (156, -116), (176, 0), (186, 96), (158, 158), (104, 160), (74, 130), (0, 120)],
}  # fmt: skip


def hair_behind(speaker: Speaker) -> Layer:
    """Mask of the hair behind the face."""
    if speaker.style in _FALLS:
        return smooth(polygon(mirrored(_FALLS[speaker.style]), rounds=3), 1.5)
    if speaker.style == "bun":
        return smooth(np.maximum(ellipse((0, -218), (62, 50)), ellipse((0, -40), (150, 160))), 1.5)
    if speaker.style == "curls":
        mask = empty()
        for angle in np.linspace(-1.75, 1.75, 13):
            mask = np.maximum(mask, ellipse((146 * np.sin(angle), -50 - 140 * np.cos(angle)), (44, 42)))
        return smooth(mask, 1.5)
    return empty()


def hair_before(speaker: Speaker) -> Layer:
    """Mask of the hair before the face: a cap from which the face is cut out."""
    half = 146 * speaker.width
    if speaker.style in _FALLS:
        part = -34 if speaker.style == "long" else 30
        opening = np.maximum(ellipse((0, 44), (half - 22, 158)), ellipse((part, -20), (half - 46, 116)))
        mask = np.clip(polygon(mirrored(_FALLS[speaker.style]), rounds=3) - opening, 0, 1)
        return smooth(mask * _above(126, 60), 1.4)
    cap = ellipse((0, -56), (half + 6, 134) if speaker.style == "receding" else (half + 10, 148))
    middle, radii = {
        "short": ((0, 34), (half - 14, 166)),
        "bun": ((0, 56), (half - 6, 186)),
        "receding": ((0, -14), (half - 12, 152)),
        "curls": ((0, 30), (half - 12, 162)),
    }[speaker.style]
    mask = np.clip(cap - ellipse(middle, radii), 0, 1) * _above(-6, 34)
    if speaker.style == "curls":
        for index, x in enumerate(np.linspace(-112, 112, 9)):
            mask = np.maximum(mask, ellipse((x, -158 + abs(x) * 0.42 + 5 * (index % 2)), (29, 26)))
    return smooth(mask, 1.4)


def hair_colour(speaker: Speaker, mask: Layer) -> Layer:
    """Colour of the hair in a mask: strands around the parting, a gloss across the crown, dark edges."""
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]].astype(np.float32)
    angle = np.arctan2(x - CENTRE[0], y - CENTRE[1] + 90)
    waves = np.sin(np.hypot(x - CENTRE[0], y - CENTRE[1] + 90) / 26) * (0.06 if speaker.style == "curls" else 0.015)
    # Smooth noise, not a wave: even strands look like knitting.
    rng = np.random.default_rng(sum(speaker.hair))
    strands = np.interp((angle + waves + np.pi) / (2 * np.pi) * 400, np.arange(401), rng.normal(0, 0.09, 401))
    shade = 1.0 + strands + 0.42 * glow((-20, -150), (100, 20)) + 0.30 * (smooth(mask, 12) - 0.5)
    colour: Layer = np.array(speaker.hair, np.float32) * shade.astype(np.float32)[..., None] + 5
    return colour


def _above(line: float, fade: float) -> Layer:
    rows = np.clip((line - (np.arange(SIZE[1], dtype=np.float32) - CENTRE[1])) / fade, 0, 1)
    return np.tile(rows[:, None], (1, SIZE[0]))
