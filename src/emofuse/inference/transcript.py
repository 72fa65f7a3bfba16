"""What was said in a long video and when: SRT, VTT, or JSON with times."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pysubs2
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from emofuse.core.errors import DataError
from emofuse.core.records import Line, Utterance

Time = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore")

    text: str
    start: Time
    end: Time
    speaker: str | None = None


_SAID = TypeAdapter(list[_Said])


@dataclass(frozen=True)
class Transcript:
    """The lines of a video, by start."""

    lines: tuple[Line, ...] = ()

    def spans(self) -> list[tuple[float, float]]:
        """Start and end of each line in seconds."""
        return [(line.start, line.end) for line in self.lines if line.start is not None and line.end is not None]

    def during(self, start: float, end: float) -> Utterance:
        """What was said in a window: the lines of which at least half lies in it, or that fill at least half of it."""
        inside = [number for number, span in enumerate(self.spans()) if _share(span, (start, end)) >= 0.5]
        if not inside:
            earlier = bisect_left([line_start for line_start, _ in self.spans()], start)
            return Utterance(start=start, end=end, context=self.lines[:earlier])
        text = " ".join(self.lines[number].text for number in inside)
        first = inside[0]
        return Utterance(
            text=text,
            position=first,
            dialogue_length=len(self.lines),
            speaker=self.lines[first].speaker,
            start=start,
            end=end,
            context=self.lines[:first],
        )


def _share(line: tuple[float, float], window: tuple[float, float]) -> float:
    common = min(line[1], window[1]) - max(line[0], window[0])
    return common / max(min(line[1] - line[0], window[1] - window[0]), 1e-6)


def read_transcript(path: Path) -> Transcript:
    """Read a transcript's file.

    Raises:
        DataError: it can't be read, or is none.
    """
    try:
        return parse_transcript(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read: {error}; expected UTF-8") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def parse_transcript(text: str) -> Transcript:
    """Read a transcript, whichever of the three it is.

    Raises:
        DataError: it is none of them.
    """
    try:
        if text.lstrip().startswith("["):
            said = _SAID.validate_json(text)
        else:
            said = [
                _Said(text=event.plaintext, start=event.start / 1000, end=event.end / 1000, speaker=event.name or None)
                for event in pysubs2.SSAFile.from_string(text, format_="vtt" if text.startswith("WEBVTT") else "srt")
            ]
    except (ValidationError, pysubs2.exceptions.Pysubs2Error, ValueError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"no transcript: {first}; expected SRT, VTT, or JSON: {_EXAMPLE}") from None
    said = [line for line in said if line.end > line.start and line.text.strip()]
    if not said:
        raise DataError(f"found a transcript without lines; expected SRT, VTT, or JSON: {_EXAMPLE}")
    said.sort(key=lambda line: line.start)
    return Transcript(tuple(Line(_one(s.text), s.speaker, s.start, s.end) for s in said))


def _one(text: str) -> str:
    return " ".join(text.split())


_EXAMPLE = '[{"text": "You got the job!", "start": 0.0, "end": 1.4, "speaker": "Ann"}, ...]'
