"""Answers for files and no server: clips, and the windows of a long video."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from emofuse.core.errors import MediaError
from emofuse.core.params import AudioParams, VisualParams
from emofuse.core.records import Utterance
from emofuse.inference.predictor import Predictor
from emofuse.inference.transcript import Transcript
from emofuse.media.decode import probe_streams
from emofuse.media.windows import Look, Window, cut_windows, even_spans

BATCH = 8  # utterances that are answered at a time, so that progress shows
Answer = dict[str, Any]


def answered(predictor: Predictor, utterances: Iterable[Utterance]) -> Iterator[Answer]:
    """Answer utterances, in order; what can't be answered is an error in its place."""
    rest = iter(utterances)
    while batch := list(islice(rest, BATCH)):
        wrong = [_wrong(utterance) for utterance in batch]
        right = [utterance for utterance, problem in zip(batch, wrong, strict=True) if not problem]
        answers = iter(predictor.predict(right) if right else [])
        for problem in wrong:
            yield {"error": problem} if problem else next(answers).to_json()


def _wrong(utterance: Utterance) -> str:
    if not isinstance(utterance.clip, Path):
        return "" if utterance.text.strip() else "found neither a clip nor a text"
    try:
        probe_streams(utterance.clip)
    except MediaError as error:
        return f"clip: {error}"
    return ""


def answer_windows(
    predictor: Predictor, video: Path, transcript: Transcript, window: float, hop: float, most_seconds: float
) -> Iterator[Answer]:
    """Answer each window of a long video, in order.

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
    for batch in _batches(windows):
        texts = [transcript.during(w.start, w.end) if transcript.lines else Utterance() for w in batch]
        utterances = [replace(text, clip=w.clip) for text, w in zip(texts, batch, strict=True)]
        for w, text, prediction in zip(batch, texts, predictor.predict(utterances), strict=True):
            yield {"start": w.start, "end": w.end, "text": text.text, **prediction.to_json()}


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


def look_of(predictor: Predictor) -> Look:
    """What a predictor's extractors look at of a video."""
    visual, audio = (predictor.bundle.extractors.get(modality) for modality in ("visual", "audio"))
    return Look(
        fps=visual.fps if isinstance(visual, VisualParams) else 1,
        width=visual.width if isinstance(visual, VisualParams) else 64,
        sample_rate=audio.sample_rate if isinstance(audio, AudioParams) else 8000,
    )


def as_line(named: Mapping[str, Any], answer: Answer, json_lines: bool) -> str:
    """An answer as a line of JSON, or of a table to read."""
    if json_lines:
        return json.dumps({**named, **answer}, ensure_ascii=False)
    name = "  ".join(f"{value:.2f}" if isinstance(value, float) else str(value) for value in named.values())
    if "error" in answer:
        return f"{name:<40}  error: {answer['error']}"
    absent = [modality for modality, use in answer["modalities"].items() if not use["present"]]
    share = answer["probabilities"][answer["label"]]
    without = answer["note"] or ("without " + ", ".join(absent) if absent else "")
    return f"{name:<40}  {answer['label']:<10} {share:>4.0%}  {without}".rstrip()
