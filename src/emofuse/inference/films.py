"""Long videos and no server: what is answered in each window, and who is seen in it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from emofuse.core.errors import MediaError
from emofuse.core.records import Extracted, Utterance
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.features.visual.face_tracks import Person, PersonNumbers
from emofuse.inference.heard import GrowingTranscript
from emofuse.inference.offline import BATCH, Answer, as_line, look_of
from emofuse.inference.predictor import Predictor
from emofuse.inference.transcript import Transcript
from emofuse.media.windows import Window, cut_windows, even_spans
from emofuse.transcription.words import HeardLine

EDGES = ("left", "top", "width", "height")
PERSON = ("start", "end", "person", "speaker", "speaks", "confidence", *EDGES, "frames", "label")  # columns of a row


def answer_windows(
    predictor: Predictor, video: Path, transcript: Transcript, window: float, hop: float, most_seconds: float
) -> Iterator[Answer]:
    """Answer each window of a film, in order, and tell under `people` who is seen in it.

    Args:
        predictor: answers.
        video: any file that FFmpeg reads.
        transcript: what was said.
        window: seconds; 0 for the lines of the transcript.
        hop: seconds from one window to the next.
        most_seconds: how long the video may be.

    Raises:
        MediaError: the video can't be decoded or is too long, after the windows before that shows.
    """
    spans = even_spans(window, hop) if window else iter(transcript.spans())
    windows = cut_windows(video, spans, look_of(predictor), most_seconds)
    yield from _answered(predictor, windows, transcript.during if transcript.lines else lambda start, end: Utterance())


def answer_heard(
    predictor: Predictor,
    video: Path,
    lines: Iterable[HeardLine],
    recogniser: str,
    voices: str | None,
    most_seconds: float,
) -> Iterator[Answer]:
    """Answer each line that is heard in a film, in order, as it is heard; `heard` tells of its words.

    Args:
        predictor: answers.
        video: any file that FFmpeg reads.
        lines: what is heard in it.
        recogniser: the name of who hears it.
        voices: the name of what tells the speakers apart; None where they aren't.
        most_seconds: how long the video may be.

    Raises:
        MediaError: as `answer_windows`.
    """
    growing = GrowingTranscript(lines)
    windows = cut_windows(video, growing.spans(), look_of(predictor), most_seconds)
    for answer in _answered(predictor, windows, growing.during):
        start, end = answer["start"], answer["end"]
        heard = growing.heard(start, end, recogniser).model_dump()
        apart = {"speaker": growing.during(start, end).speaker, "voices": voices} if voices else {}
        yield answer | {"start": round(start, 3), "end": round(end, 3), **apart, "heard": heard}


def _answered(
    predictor: Predictor, windows: Iterator[Window], during: Callable[[float, float], Utterance]
) -> Iterator[Answer]:
    numbers = PersonNumbers()
    for batch in _batches(windows):
        texts = [during(w.start, w.end) for w in batch]
        utterances = [replace(text, clip=w.clip) for text, w in zip(texts, batch, strict=True)]
        crowds, rows = _watched(predictor, batch)
        predictions = predictor.answer(predictor.extract(utterances, rows), predictor.lines(utterances))
        for w, text, crowd, prediction in zip(batch, texts, crowds, predictions, strict=True):
            people = [_person(*one) for one in zip(numbers.of(crowd, w.start), crowd, strict=True)]
            yield {"start": w.start, "end": w.end, "text": text.text, **prediction.to_json(), "people": people}


def _watched(predictor: Predictor, windows: Sequence[Window]) -> tuple[list[list[Person]], list[dict[str, Extracted]]]:
    """Who is seen in each window, and the visual features, which come with that; none where the model has no eyes."""
    if "visual" not in predictor.bundle.extractors:
        return [[] for _ in windows], [{} for _ in windows]
    extractor = predictor.extractor("visual")
    assert isinstance(extractor, VisualExtractor)
    watched = [extractor.watch(window.clip) for window in windows]
    return [one.people for one in watched], [{"visual": one.features} for one in watched]


def _person(number: int, person: Person) -> Answer:
    """A person in a window: where on average, as shares of the frame."""
    places = np.mean([sighting.place for sighting in person.track], axis=0)
    return {
        "person": number,
        "speaker": person.speaker,
        "speaks": round(person.speaks, 4),
        "confidence": round(person.confidence, 4),
        **{edge: round(float(share), 4) for edge, share in zip(EDGES, places, strict=True)},
        "frames": len(person.track),
    }


def _batches(windows: Iterator[Window]) -> Iterator[list[Window]]:
    """Some windows at a time; what goes wrong is raised after those before it."""
    failure: MediaError | None = None
    while failure is None:
        batch: list[Window] = []
        try:
            for window in islice(windows, BATCH):
                batch.append(window)
        except MediaError as error:
            failure = error
        if not batch:
            break
        yield batch
    if failure is not None:
        raise failure


def window_line(answer: Answer, json_lines: bool) -> str:
    """A line a window, of JSON or of a table to read."""
    columns = ("start", "end", "speaker", "text")
    named: Answer = {name: answer[name] for name in columns if name in answer}
    return as_line(named, {name: answer[name] for name in answer if name not in (*named, "people")}, json_lines)


def people_lines(answer: Answer, json_lines: bool) -> Iterator[str]:
    """A line a person of a window, of JSON or of a CSV file; the window's label stands with the one who speaks."""
    for one in answer["people"]:
        label = answer["label"] if one["speaker"] else ""
        row = {"start": answer["start"], "end": answer["end"], **one, "label": label}
        yield json.dumps(row, ensure_ascii=False) if json_lines else csv_line(row.values())


def csv_line(values: Iterable[object]) -> str:
    """A line of a CSV file."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()
