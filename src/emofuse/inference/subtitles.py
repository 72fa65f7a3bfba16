"""The answers for a film as a file: SRT, VTT, CSV, JSON, or a picture of them over time."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pysubs2

from emofuse.core.errors import DataError
from emofuse.core.files import atomic_write, check_writable, writable
from emofuse.inference.curve import curve_svg
from emofuse.inference.offline import unfamiliar_modalities

SUBTITLES = {".srt": "srt", ".vtt": "vtt"}
BRACES = str.maketrans("{}", "()")  # those of a text would be read as commands
KINDS = (*SUBTITLES, ".csv", ".json", ".svg")
_MARK = re.compile(r"^\[[^\[\]]+ \d{1,3}%\] ?")  # what `write_timeline` puts before the words of a subtitle
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>\n]+)>")  # of WebVTT, with classes or without
_OPENS, _CLOSES = "\x02", "\x03"  # stand for a voice's tag, where no text has them
_SPEAKER = re.compile(rf"{_OPENS}([^{_CLOSES}]*){_CLOSES}|(speaker \d+): ")


def check_timeline(path: Path) -> None:
    """Check that a file's name says what is to be written, and that it can be.

    Raises:
        DataError: it ends in something else, or can't be written.
    """
    _kind(path)
    check_writable(path)


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(f"--out: found {path.name!r}, expected a name that ends in {', '.join(KINDS)}")
    return kind


def write_timeline(path: Path, answers: Sequence[Mapping[str, Any]]) -> None:
    """Write the answers for a video's windows, aside and then renamed.

    Subtitles show who speaks and the label before the words, `speaker 1: [joy 83%] We won!`; given back as a
    transcript, they are words and speaker alone.

    Args:
        path: its ending says which kind.
        answers: as `inference.offline` gives them.

    Raises:
        DataError: the ending is none of `KINDS`, or the file can't be written.
    """
    kind = _kind(path)
    with writable(path), atomic_write(path) as aside:
        if kind == ".json":
            aside.write_text(json.dumps(list(answers), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        elif kind == ".csv":
            _write_rows(aside, answers)
        elif kind == ".svg":
            aside.write_text(curve_svg(answers), encoding="utf-8")
        else:
            aside.write_text(_subtitles(answers, SUBTITLES[kind]), encoding="utf-8")


def _write_rows(path: Path, answers: Sequence[Mapping[str, Any]]) -> None:
    shares = list(answers[0]["probabilities"]) if answers else []
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        heading = ["start", "end", "speaker", "text", "confidence", "label", *(f"p_{name}" for name in shares)]
        table.writerow([*heading, "unfamiliar"])
        for answer in answers:
            confidence = answer.get("heard", {}).get("confidence", "")
            row = [answer["start"], answer["end"], answer.get("speaker", ""), answer["text"], confidence]
            answered = [answer["label"], *answer["probabilities"].values(), unfamiliar_modalities(answer)]
            table.writerow([*row, *answered])


def _subtitles(answers: Sequence[Mapping[str, Any]], kind: str) -> str:
    lines = pysubs2.SSAFile()
    for answer in answers:
        speaker = answer.get("speaker")
        voice = "" if not speaker else f"<v {speaker}>" if kind == "vtt" else f"{speaker}: "
        share = round(100 * answer["probabilities"][answer["label"]])
        words = f"[{answer['label']} {share}%] {answer['text']}".strip()
        event = pysubs2.SSAEvent(start=round(answer["start"] * 1000), end=round(answer["end"] * 1000))
        event.text = (voice + words).translate(BRACES)
        lines.append(event)
    return str(lines.to_string(kind))


def mark_voices(vtt: str) -> str:
    """WebVTT whose voices, `<v Ann>`, are kept when other tags are taken out."""
    return _VOICE.sub(rf"{_OPENS}\1{_CLOSES}", vtt)


def speaker_and_words(text: str) -> tuple[str | None, str]:
    """Who speaks in a subtitle, where it says so, and its words without the label of `write_timeline`."""
    match = _SPEAKER.match(text)
    speaker = None if match is None else match[1] or match[2]
    return speaker, _MARK.sub("", text if match is None else text[match.end() :])
