"""What was said in a film and when: SRT, VTT, or JSON with times."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from pathlib import Path

import pysubs2
from pydantic import TypeAdapter, ValidationError, model_validator

from emofuse.core.errors import DataError
from emofuse.core.records import Line, Utterance
from emofuse.core.rows import GivenLine
from emofuse.datasets.delimited import decode
from emofuse.inference.subtitles import mark_voices, speaker_and_words


class _TimedLine(GivenLine):
    @model_validator(mode="after")
    def _timed(self) -> _TimedLine:
        if self.start is None or self.end is None:
            raise ValueError("found a line without times, expected start and end")
        return self


_LINES = TypeAdapter(list[_TimedLine])


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
        return parse_transcript(decode(path.read_bytes())[0])
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: can't be read: {error}; expected a text in UTF-8") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def parse_transcript(text: str) -> Transcript:
    """Read a transcript, whichever of the three it is.

    Raises:
        DataError: it is none of them.
    """
    try:
        if text.lstrip().startswith("["):
            given = _LINES.validate_json(text)
        else:
            if text.startswith("WEBVTT"):
                events = pysubs2.SSAFile.from_string(mark_voices(text), format_="vtt")
            else:
                events = pysubs2.SSAFile.from_string(text, format_="srt")
            rows = [(e, *speaker_and_words(e.plaintext)) for e in events]
            given = _LINES.validate_python(
                [
                    {"text": words, "start": e.start / 1000, "end": e.end / 1000, "speaker": speaker}
                    for e, speaker, words in rows
                ]
            )
    except ValidationError as error:
        first = error.errors()[0]
        where = " ".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
        raise DataError(f"no transcript: line {where}: {first['msg']}; expected {_EXAMPLE}") from None
    except (pysubs2.exceptions.Pysubs2Error, ValueError) as error:
        raise DataError(f"no transcript: {str(error).splitlines()[0]}; expected {_EXAMPLE}") from None
    lines = [replace(line.line(), text=" ".join(line.text.split())) for line in given]
    lines = [line for line in lines if line.text and line.lasts]
    if not lines:
        raise DataError(f"found a transcript without lines; expected {_EXAMPLE}")
    return Transcript(tuple(sorted(lines, key=lambda line: line.start or 0.0)))


_EXAMPLE = 'SRT, VTT, or JSON: [{"text": "You got the job!", "start": 0.0, "end": 1.4, "speaker": "Ann"}, ...]'
