"""The speakers: a name, a voice and a look each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]
"""Blue, green, red, each 0 to 255, as OpenCV orders them."""


@dataclass(frozen=True)
class Speaker:
    """A speaker of the corpus.

    `voice` is an espeak-ng voice with a variant, `pitch` its base pitch on espeak-ng's scale of 0 to 100. Variants with
    an echo are left out: espeak-ng does not repeat their sound bit by bit.
    """

    name: str
    voice: str
    pitch: int
    pace: float
    skin: Colour
    hair: Colour
    style: Literal["long", "short", "bob", "receding", "bun", "curls"]
    eyes: Colour
    shirt: Colour
    collar: Literal["crew", "vee", "shirt"]
    lips: Colour
    lashes: float
    beard: float = 0.0
    freckles: bool = False
    jaw: float = 0.2
    width: float = 1.0


CAST: tuple[Speaker, ...] = (
    Speaker(
        "Mara", "en-us+f4", 52, 1.0, (150, 180, 226), (34, 48, 74), "long", (60, 84, 104), (116, 78, 52), "vee",
        (104, 104, 190), 1.0, jaw=0.26, width=0.96,
    ),
    Speaker(
        "Theo", "en-us+m3", 42, 0.98, (112, 144, 192), (26, 28, 34), "short", (40, 56, 78), (92, 102, 64), "crew",
        (104, 110, 170), 0.3, beard=0.75, jaw=0.14, width=1.03,
    ),
    Speaker(
        "Ines", "en-us+linda", 55, 1.03, (168, 192, 232), (38, 74, 164), "bob", (112, 138, 84), (88, 122, 48), "crew",
        (112, 104, 202), 0.9, freckles=True, jaw=0.24, width=0.98,
    ),
    Speaker(
        "Otto", "en-gb-x-rp", 38, 0.96, (152, 178, 222), (80, 85, 90), "receding", (128, 112, 84), (84, 60, 56),
        "shirt", (122, 124, 186), 0.2, beard=0.25, jaw=0.12, width=1.02,
    ),
    Speaker(
        "Priya", "en-us+Annie", 50, 1.04, (104, 140, 190), (22, 20, 28), "bun", (30, 44, 62), (70, 54, 150), "vee",
        (92, 84, 168), 1.0, jaw=0.27, width=0.95,
    ),
    Speaker(
        "Jonas", "en-us+m1", 45, 1.02, (160, 188, 230), (76, 136, 190), "curls", (140, 128, 72), (120, 110, 96),
        "shirt", (118, 116, 192), 0.3, jaw=0.16, width=1.0,
    ),
)  # fmt: skip
