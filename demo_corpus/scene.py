"""The picture around a face: room, shoulders and light, and the motion of the head through a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from itertools import repeat

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_corpus.cast import Speaker
from demo_corpus.clip import HEIGHT, WIDTH, Picture
from demo_corpus.expression import Expression, blend, personal
from demo_corpus.face import draw_eyes, draw_mouth
from demo_corpus.head import paint_back, paint_head
from demo_corpus.paint import CENTRE, SIZE

# Where the middle of the head stands in the picture, and how large a pixel of its canvas is there.
_MIDDLE, _SCALE = (320.0, 166.0), 0.56
_RAMP_FRAMES = 10
# Drawn for every second picture, as animators do: half the work, and as lively.
_HOLD = 2
# A gain of one: whole numbers are several times faster than fractions here.
_UNIT = 128
_MOUTH_LINE = CENTRE[1] + 100

# Wall, floor and accent of five rooms: blue, green, red.
_ROOMS = (
    ((126, 150, 168), (74, 92, 112), (70, 140, 214)),
    ((150, 138, 116), (96, 84, 70), (196, 176, 120)),
    ((108, 128, 112), (62, 80, 70), (120, 190, 160)),
    ((112, 98, 104), (64, 52, 58), (170, 120, 190)),
    ((140, 146, 152), (92, 92, 98), (110, 120, 220)),
)


def film(
    speaker: Speaker,
    emotion: str,
    level: NDArray[np.float64],
    room: int,
    turned_away: bool | None,
    rng: np.random.Generator,
) -> Iterator[Picture]:
    """Film a line: pictures of `(HEIGHT, WIDTH, 3)`, blue, green, red, one for each value of `level`.

    Args:
        speaker: who is seen.
        emotion: what the face shows.
        level: loudness of the sound during each picture, 0 to 1; it opens the mouth.
        room: picks the room, any number of 0 or more.
        turned_away: None shows the face; True the back of the head, False an empty room.
        rng: source of all chance.
    """
    shown = personal(emotion, rng)
    light = _light(shown)
    if turned_away is not None:
        yield from repeat(_faceless(speaker, room, turned_away, light), len(level))
        return
    # Only the head's surroundings change from picture to picture: the rest is lit once.
    stage = _stage(room, speaker)
    lit = _lit(stage, light)
    motion, lids = _motion(shown, len(level), rng), _blinks(len(level), rng)
    face = _faces(speaker, shown)
    canvas = np.empty((SIZE[1], SIZE[0], 4), np.uint8)
    for index, loud in enumerate(level):
        if index % _HOLD == 0:
            now, painted = face(min(index, _RAMP_FRAMES), float(lids[index]))
            opening = float(loud) * now.speech
            np.copyto(canvas, painted)
            draw_mouth(canvas, speaker, now, opening)
            x, y, angle = motion[index]
            picture = lit.copy()
            _paste(picture, stage, light, canvas, (_MIDDLE[0] + x, _MIDDLE[1] + y), angle, now.gape + 22 * opening)
        yield picture


def _faces(speaker: Speaker, shown: Expression) -> Callable[[int, float], tuple[Expression, Picture]]:
    # An emotion grows on the face during the first pictures; then all but the mouth changes in blinks alone.
    head, start = paint_head(speaker, shown), blend(Expression(), shown, 0.45)

    @cache
    def face(step: int, lids: float) -> tuple[Expression, Picture]:
        now, painted = blend(start, shown, step / _RAMP_FRAMES), head.copy()
        draw_eyes(painted, speaker, now, lids)
        return now, painted

    return face


def _faceless(speaker: Speaker, room: int, turned_away: bool, light: Picture) -> Picture:
    picture = _stage(room, speaker if turned_away else None).copy()
    if turned_away:
        _paste(picture, picture.copy(), np.full_like(picture, _UNIT), paint_back(speaker), _MIDDLE, 0.0, 0.0)
    return _lit(picture, light)


def _lit(picture: Picture, light: Picture) -> Picture:
    return cv2.multiply(picture, light, scale=1 / _UNIT).astype(np.uint8, copy=False)


def _motion(shown: Expression, frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    seconds = np.arange(frames)[:, None] / 24
    phase, pace = rng.uniform(0, 2 * np.pi, (3, 3)), rng.uniform(0.25, 0.8, (3, 3))
    wander = np.sin(2 * np.pi * seconds[..., None] * pace + phase).mean(axis=2)
    motion = wander * np.array((shown.sway * 1.6, shown.sway, shown.nod * 1.5))
    motion[:, :2] += rng.normal(0, shown.shake * 0.5, (frames, 2))
    stance = (rng.uniform(-22, 22), shown.drop + rng.uniform(-4, 4), shown.lean * rng.choice((-1, 1)))
    placed: NDArray[np.float64] = motion + np.array(stance)
    return placed


def _blinks(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    lids = np.ones(frames)
    at = int(rng.integers(8, 50))
    while at + 4 < frames:
        lids[at : at + 4] = (0.5, 0.0, 0.05, 0.6)
        at += int(rng.integers(40, 100))
    return lids


def _paste(
    picture: Picture,
    stage: Picture,
    light: Picture,
    canvas: Picture,
    middle: tuple[float, float],
    angle: float,
    jaw: float,
) -> None:
    # `stage` is the picture before it was lit; `jaw` is how far the mouth is open.
    turn = cv2.getRotationMatrix2D((float(CENTRE[0]), float(CENTRE[1])), angle, _SCALE)
    turn[:, 2] += np.array(middle) - np.array(CENTRE)
    left, top = int(middle[0] - 130), max(int(middle[1] - 150), 0)
    box = slice(top, min(top + 340, HEIGHT)), slice(left, left + 260)
    turn[:, 2] -= (left, top)
    if jaw > 0:
        # What lies below the mouth moves down with it.
        stretch = np.array([[1, 0, 0], [0, 1 + 0.0009 * jaw, 0]])
        jaws = canvas[_MOUTH_LINE:, _covered(canvas[_MOUTH_LINE:])[1]]
        jaws[:] = cv2.warpAffine(jaws, stretch, (jaws.shape[1], jaws.shape[0]))
    size = stage[box].shape[1], stage[box].shape[0]
    head = cv2.warpAffine(canvas, turn, size, flags=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    seen = _covered(head)
    head = head[seen]
    rest = cv2.cvtColor(255 - head[..., 3], cv2.COLOR_GRAY2BGR)
    mixed = cv2.add(cv2.cvtColor(head, cv2.COLOR_BGRA2BGR), cv2.multiply(stage[box][seen], rest, scale=1 / 255))
    picture[box][seen] = cv2.multiply(mixed, light[box][seen], scale=1 / _UNIT)


def _covered(canvas: Picture) -> tuple[slice, slice]:
    # The rows and columns outside of which a canvas is empty; four bytes are looked at as one number.
    left, top, width, height = cv2.boundingRect((canvas.view(np.uint32)[..., 0] != 0).view(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _light(shown: Expression) -> Picture:
    across, near = _falls()
    gain = shown.key * (1.0 - shown.side * across) * near
    tint = np.array((shown.blue, shown.green, shown.red), np.float32)
    light: Picture = np.clip(gain[..., None] * tint * _UNIT, 0, 255).astype(np.uint8)
    return light


@cache
def _falls() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    # How much of the light falls from the side, and how much anywhere.
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    # The light from the side falls on the head: on the wall it would show as a stripe.
    across = np.tanh((x - _MIDDLE[0]) / 75) * np.exp(-(((x - _MIDDLE[0]) / 190) ** 2) - ((y - _MIDDLE[1]) / 230) ** 2)
    far = ((x - WIDTH / 2) / WIDTH) ** 2 + ((y - HEIGHT / 2) / HEIGHT) ** 2
    return across, 1.04 - 0.55 * far


@lru_cache(maxsize=64)
def _stage(room: int, speaker: Speaker | None) -> Picture:
    stage = _paint_room(room).copy()
    if speaker is not None:
        _paint_shoulders(stage, speaker)
    return stage


@lru_cache(maxsize=8)
def _paint_room(room: int) -> Picture:
    wall, floor, accent = (np.array(colour, np.float32) for colour in _ROOMS[room % len(_ROOMS)])
    rng = np.random.default_rng(room)
    fall = np.linspace(0, 1, HEIGHT, dtype=np.float32)[:, None, None]
    picture = np.broadcast_to(wall * (1.08 - 0.3 * fall), (HEIGHT, WIDTH, 3)).copy()
    for _ in range(4):
        x, y = int(rng.choice((rng.integers(10, 150), rng.integers(430, 560)))), int(rng.integers(10, 150))
        width, height = int(rng.integers(50, 110)), int(rng.integers(50, 120))
        colour = tuple(float(value) for value in wall + (accent - wall) * rng.uniform(0.15, 0.55))
        cv2.rectangle(picture, (x, y), (x + width, y + height), tuple(value * 0.55 for value in colour), -1)
        cv2.rectangle(picture, (x + 6, y + 6), (x + width - 6, y + height - 6), colour, -1)
    for _ in range(5):
        spot = (int(rng.choice((rng.integers(0, 170), rng.integers(470, 640)))), int(rng.integers(20, 240)))
        cv2.circle(picture, spot, int(rng.integers(8, 22)), tuple(float(value) for value in accent * 1.15), -1)
    cv2.rectangle(picture, (0, 268), (WIDTH, HEIGHT), tuple(float(value) for value in floor), -1)
    # Out of focus, as behind a portrait; also, hard edges there would look like faces to a detector.
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 9), 0, 255).astype(np.uint8)


def _paint_shoulders(picture: Picture, speaker: Speaker) -> None:
    shirt, skin = np.array(speaker.shirt, float), np.array(speaker.skin, float)
    across = np.linspace(-1.3, 1.3, WIDTH)[None, :, None]
    body = [(90, 360), (103, 300), (150, 276), (260, 250), (380, 250), (490, 276), (537, 300), (550, 360)]
    _cover(picture, body, shirt * (1.05 - 0.45 * across**2))
    neck_end = 320 if speaker.collar == "vee" else 285
    neck = [(283, 200), (357, 200), (361, 250), (385, 258), (320, neck_end), (255, 258), (279, 250)]
    # The chin throws a shadow on the neck.
    below = np.arange(HEIGHT)[:, None, None] - 236
    _cover(picture, neck, skin * (0.50 + 0.34 * np.clip(below / 50, 0, 1)))
    if speaker.collar == "shirt":
        for side in (-1, 1):
            flap = [(320, 295), (320 + side * 42, 243), (320 + side * 65, 258), (320 + side * 48, 315)]
            _cover(picture, flap, np.minimum(shirt * 1.35 + 20, 250))


def _cover(picture: Picture, outline: list[tuple[int, int]], paint: NDArray[np.float64]) -> None:
    large = np.zeros((HEIGHT * 2, WIDTH * 2), np.uint8)
    cv2.fillPoly(large, [np.array(outline, np.int32) * 2], (255,), cv2.LINE_AA)
    share = cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    left, top, width, height = cv2.boundingRect(share)
    box = slice(top, top + height), slice(left, left + width)
    below, over = picture[box], np.broadcast_to(paint, picture.shape)[box]
    picture[box] = (below + (over - below) * (share[box][..., None].astype(np.float32) / 255)).astype(np.uint8)
