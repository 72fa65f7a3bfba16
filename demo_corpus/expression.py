"""What an emotion does to a face and to the light on it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Expression:
    """Leanings of a face. Lengths are in pixels of the head's canvas (twice those of the picture), strengths 0 to 1.

    Brows: `raise_` lifts all, `inner` lifts the inner ends, `squeeze` draws them together. Eyes: `upper` and `lower`
    are how far the lids stand off the eye's middle, `gaze` lowers the look. Mouth: `curve` lifts the corners, `gape`
    opens it, `speech` is how far the sound does, `stretch` widens it, `sneer` lifts one side of the upper lip,
    `square` makes the opening boxy, `teeth` shows them. Lines: `furrow` between the brows, `forehead`, `nose`
    wrinkles, `smile` folds beside the mouth; `tear` and `sweat` are drops. Motion: `sway` and `shake` in pixels, `nod`
    in degrees; `lean` tilts and `drop` lowers the head. Light: `key` brightness, `side` contrast between the halves of
    the face; `red`, `green` and `blue` gains; `flush` reddens and `pallor` bleaches the skin.
    """

    raise_: float = 0.0
    inner: float = 0.0
    squeeze: float = 0.0
    upper: float = 15.0
    lower: float = 10.0
    gaze: float = 0.0
    curve: float = 0.0
    gape: float = 0.0
    speech: float = 0.8
    stretch: float = 1.0
    sneer: float = 0.0
    square: float = 0.0
    teeth: float = 0.25
    furrow: float = 0.0
    forehead: float = 0.0
    nose: float = 0.0
    smile: float = 0.0
    tear: float = 0.0
    sweat: float = 0.0
    sway: float = 2.0
    shake: float = 0.0
    nod: float = 0.8
    lean: float = 0.0
    drop: float = 0.0
    key: float = 1.0
    side: float = 0.12
    red: float = 1.0
    green: float = 1.0
    blue: float = 1.0
    flush: float = 0.0
    pallor: float = 0.0


EXPRESSIONS = {
    "neutral": Expression(),
    "joy": Expression(
        raise_=7, inner=-2, upper=12, lower=4, curve=27, gape=17, stretch=1.24, teeth=1.0, smile=1.0, sway=4.5,
        nod=2.4, lean=3, key=1.12, side=0.06, red=1.05, blue=0.9, flush=0.25,
    ),
    "surprise": Expression(
        raise_=22, inner=4, upper=25, lower=16, curve=-2, gape=46, stretch=0.68, teeth=0.35, forehead=1.0, sway=2.5,
        nod=1.2, drop=-7, key=1.17, side=0.05, blue=1.06, red=0.97,
    ),
    "anger": Expression(
        raise_=-10, inner=-19, squeeze=11, upper=9, lower=8, curve=-15, gape=22, stretch=1.06, square=1.0, teeth=1.0,
        furrow=1.0, nose=0.4, smile=0.35, sway=3, shake=1.3, nod=2.6, drop=4, key=0.92, side=0.34, red=1.08,
        green=0.91, blue=0.88, flush=1.0,
    ),
    "sadness": Expression(
        raise_=2, inner=21, squeeze=6, upper=6, lower=8, gaze=7, curve=-19, stretch=0.92, teeth=0.0, speech=0.4,
        furrow=0.35, tear=1.0, sway=1.2, nod=0.5, lean=-6, drop=9, key=0.7, side=0.1, red=0.9, blue=1.16,
    ),
    "disgust": Expression(
        raise_=-6, inner=-9, squeeze=5, upper=6, lower=3, gaze=1, curve=-11, gape=6, speech=0.5, stretch=0.95,
        sneer=13, teeth=0.9, furrow=0.5, nose=1.0, smile=0.7, sway=1.8, nod=1.0, lean=8, drop=-2, key=0.86, side=0.16,
        red=0.9, green=1.1, blue=0.82,
    ),
    "fear": Expression(
        raise_=17, inner=15, squeeze=5, upper=23, lower=12, curve=-10, gape=15, speech=0.6, stretch=1.2, square=0.7,
        teeth=0.55, forehead=0.55, sweat=1.0, sway=1.0, shake=1.6, nod=0.6, drop=3, key=0.84, side=-0.36, red=0.9,
        blue=1.12, pallor=0.8,
    ),
}  # fmt: skip


def personal(emotion: str, rng: np.random.Generator) -> Expression:
    """The emotion as one speaker shows it once: more or less of it, in a light that is never quite the same."""
    shown = blend(Expression(), EXPRESSIONS[emotion], rng.uniform(0.7, 1.1))
    changes = {
        "key": shown.key * rng.uniform(0.92, 1.08),
        "side": shown.side + rng.normal(0, 0.05),
        "gape": max(shown.gape + rng.normal(0, 1.5), 0.0),
        "curve": shown.curve + rng.normal(0, 2.5),
        "raise_": shown.raise_ + rng.normal(0, 2.0),
    }
    return Expression(**{**vars(shown), **changes})


def blend(start: Expression, end: Expression, share: float) -> Expression:
    """The way from one expression to another: 0 gives the start, 1 the end, more than 1 exaggerates."""
    values = {}
    for field in fields(Expression):
        first, last = getattr(start, field.name), getattr(end, field.name)
        values[field.name] = first + (last - first) * share
    return Expression(**values)
