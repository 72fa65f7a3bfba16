"""What was heard in a film: who listens, the lines as they come, and how answers tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from emofuse.core.errors import DataError
from emofuse.core.params import EMBEDDED, ServeParams, TextParams
from emofuse.core.records import Line, Utterance
from emofuse.core.weights import SILERO, TINY_EN
from emofuse.transcription.words import HeardLine, Word, confidence_of, text_of_words

if TYPE_CHECKING:  # torch, which workers that open clips do without
    from emofuse.fusion.trained_model import Bundle

NOBODY = (
    "found no recogniser to hear the words; name one as serve.recogniser in params.yaml, such as embedded (English; "
    "pip install '.[transcribe]' in a clone) or openai/whisper-small"
)


class HeardWord(BaseModel):
    """A word as a recogniser heard it."""

    model_config = ConfigDict(frozen=True)

    text: str
    start: Annotated[float, Field(description="seconds in the film or clip")]
    end: Annotated[float, Field(description="seconds in the film or clip")]
    confidence: Annotated[float, Field(description="how sure the recogniser is of it, 0 to 1")]


class Heard(BaseModel):
    """What a recogniser heard, which nobody has checked."""

    model_config = ConfigDict(frozen=True)

    text: Annotated[str, Field(description="the words; empty where none were heard")]
    confidence: Annotated[float, Field(description="how sure the recogniser is of the words, 0 to 1")]
    words: list[HeardWord] = []
    reason: Annotated[str, Field(description="why there are no words; empty where there are some")] = ""
    recogniser: Annotated[str, Field(description="the name of the model that listened")]

    @classmethod
    def of(cls, words: Iterable[Word], reason: str, recogniser: str) -> Heard:
        """What was heard, rounded to milliseconds and thousandths."""
        kept = list(words)
        rows = [
            HeardWord(
                text=word.text,
                start=round(word.start, 3),
                end=round(word.end, 3),
                confidence=round(word.confidence, 3),
            )
            for word in kept
        ]
        return cls(
            text=text_of_words(kept),
            confidence=round(confidence_of(kept), 3),
            words=rows,
            reason="" if kept else reason,
            recogniser=recogniser,
        )


def listener(limits: ServeParams, bundle: Bundle) -> tuple[str, str | None] | None:
    """The name of the recogniser and the language: those of `serve`, else those that heard what the model learnt from.

    None where neither names any.
    """
    if limits.recogniser is not None:
        return limits.recogniser, limits.language
    text = bundle.extractors.get("text")
    if isinstance(text, TextParams) and text.recogniser is not None:
        return text.recogniser, text.language
    return None


def named_listener(limits: ServeParams, bundle: Bundle) -> tuple[str, str | None]:
    """As `listener`, and the embedded one where none is named and its packages are installed.

    Raises:
        DataError: none is named or installed.
    """
    named = listener(limits, bundle)
    if named is None and (installed := installed_recogniser()):
        named = installed, limits.language
    if named is None:
        raise DataError(NOBODY)
    return named


def installed_recogniser() -> str | None:
    """The embedded recogniser where the packages that hold its weights are installed."""
    return EMBEDDED if all(find_spec(weights.package) for weights in (SILERO, TINY_EN)) else None


class GrowingTranscript:
    """The lines of a film as they are heard; each is a window.

    Args:
        lines: as they come.
    """

    def __init__(self, lines: Iterable[HeardLine]) -> None:
        self._coming = lines
        self._lines: list[Line] = []
        self._heard: dict[tuple[float, float], tuple[int, HeardLine]] = {}

    def spans(self) -> Iterator[tuple[float, float]]:
        """Start and end of each line in seconds, as they come."""
        for line in self._coming:
            self.add(line)
            yield line.start, line.end

    def add(self, line: HeardLine) -> None:
        """Take the next line."""
        self._heard[line.start, line.end] = len(self._lines), line
        self._lines.append(Line(line.text, line.speaker, line.start, line.end))

    def during(self, start: float, end: float) -> Utterance:
        """What was heard in a line's window; how long the dialogue will be is not known yet."""
        number, line = self._heard[start, end]
        return Utterance(
            text=line.text,
            speaker=line.speaker,
            start=start,
            end=end,
            position=number,
            context=tuple(self._lines[:number]),
        )

    def heard(self, start: float, end: float, recogniser: str) -> Heard:
        """How sure the words of a window are, and when each was said."""
        _, line = self._heard[start, end]
        return Heard.of(line.words, line.reason, recogniser)
