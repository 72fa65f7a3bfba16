"""The drawn speakers, judged by the detector and the statistics that the visual features use."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from demo_corpus.cast import CAST, Speaker
from demo_corpus.expression import EXPRESSIONS, Expression, blend
from demo_corpus.scene import film

Picture = NDArray[np.uint8]
CASCADE = cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"))


@cache
def filmed(speaker: Speaker, emotion: str, turned_away: bool | None = None, loud: float = 0.5) -> list[Picture]:
    level = np.full(20, loud)
    return list(islice(film(speaker, emotion, level, 0, turned_away, np.random.default_rng(1)), 12, 20, 3))


def faces(picture: Picture, width: int) -> int:
    gray = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    gray = cv2.resize(gray, (width, width * gray.shape[0] // gray.shape[1]), interpolation=cv2.INTER_AREA)
    return len(CASCADE.detectMultiScale(gray, 1.1, 5, minSize=(gray.shape[0] // 10, gray.shape[0] // 10)))


@pytest.mark.parametrize("emotion", EXPRESSIONS)
@pytest.mark.parametrize("width", [640, 480, 320])
def test_the_detector_finds_every_speaker(emotion: str, width: int) -> None:
    missed = [speaker.name for speaker in CAST if not faces(filmed(speaker, emotion)[0], width)]
    assert missed == []


@pytest.mark.parametrize("turned_away", [True, False])
def test_the_detector_finds_no_face_where_none_is_drawn(turned_away: bool) -> None:
    assert not any(faces(filmed(speaker, "neutral", turned_away)[0], 480) for speaker in CAST)


def test_the_mouth_follows_the_sound() -> None:
    silent, loud = (filmed(CAST[0], "neutral", loud=loud)[0][200:245, 280:360].astype(int) for loud in (0.0, 1.0))
    # An open mouth is dark inside.
    assert (loud.sum(axis=2) < 180).sum() > (silent.sum(axis=2) < 180).sum() + 50


def test_sad_faces_are_darker_than_happy_ones() -> None:
    for speaker in CAST:
        sad, happy = (np.mean(filmed(speaker, emotion)[0][90:240, 250:390]) for emotion in ("sadness", "joy"))
        assert happy > sad + 15


def test_emotions_show_on_the_face_beyond_the_light() -> None:
    edges = {}
    for emotion in ("neutral", "disgust"):
        crops = [cv2.cvtColor(filmed(speaker, emotion)[0][90:240, 250:390], cv2.COLOR_BGR2GRAY) for speaker in CAST]
        edges[emotion] = np.mean([np.mean(cv2.Canny(crop, 60, 120) > 0) for crop in crops])
    assert edges["disgust"] > 1.1 * edges["neutral"]


def test_blend_goes_from_start_to_end() -> None:
    start, end = Expression(), EXPRESSIONS["anger"]
    assert blend(start, end, 0.0) == start
    assert blend(start, end, 1.0).furrow == end.furrow
    assert blend(start, end, 0.5).flush == pytest.approx(end.flush / 2)
