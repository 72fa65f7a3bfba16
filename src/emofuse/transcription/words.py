"""The words of a sound, and how they cross extraction, which knows only numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Word:
    """A word as a recogniser heard it.

    Attributes:
        text: without spaces around.
        start: seconds in the sound.
        end: seconds in the sound.
        confidence: 0 to 1: the geometric mean of its tokens' probabilities.
    """

    text: str
    start: float
    end: float
    confidence: float


def text_of_words(words: Sequence[Word]) -> str:
    """The words with spaces between."""
    return " ".join(word.text for word in words)


def confidence_of(words: Sequence[Word]) -> float:
    """The geometric mean of the words' confidences; 0 where there are no words."""
    if not words:
        return 0.0
    return math.exp(sum(math.log(max(word.confidence, 1e-6)) for word in words) / len(words))


@dataclass(frozen=True)
class HeardLine:
    """A span of speech, in seconds from the start of the sound, and the words that were heard in it.

    Attributes:
        start: of the speech.
        end: of the speech.
        words: at times in the whole sound; none where the recogniser was not sure of them.
        reason: why there are none; empty where there are some.
        speaker: who said them; None where unknown.
        voice: how it sounds, shape (d,); None unless speakers are told apart, and where that could not be told.
    """

    start: float
    end: float
    words: tuple[Word, ...] = ()
    reason: str = ""
    speaker: str | None = None
    voice: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        """The words with spaces between."""
        return text_of_words(self.words)

    @property
    def confidence(self) -> float:
        """How sure the recogniser is of the words, 0 to 1."""
        return confidence_of(self.words)


def pack_words(words: Sequence[Word]) -> NDArray[np.float32]:
    """Words as float32: their number, three numbers a word, and the code points of all, a space between.

    Code points are below 2^24, so that none is rounded.
    """
    numbers = [(word.start, word.end, word.confidence) for word in words]
    points = [ord(sign) for sign in text_of_words(words)]
    return np.array([len(words), *(value for row in numbers for value in row), *points], np.float32)


def unpack_words(values: NDArray[np.float32]) -> list[Word]:
    """What `pack_words` packed."""
    count = int(values[0])
    numbers = values[1 : 1 + 3 * count].reshape(count, 3).tolist()
    text = "".join(chr(int(point)) for point in values[1 + 3 * count :])
    return [Word(word, *row) for word, row in zip(text.split(" ") if count else [], numbers, strict=True)]
