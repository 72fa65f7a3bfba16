"""Answers for files and no server, and answers as lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from emofuse.core.errors import MediaError
from emofuse.core.params import AudioParams, VisualParams
from emofuse.core.records import Utterance
from emofuse.inference.predictor import Predictor
from emofuse.media.decode import probe_streams
from emofuse.media.windows import Look

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
    unlike = unfamiliar_modalities(answer)
    notes = [answer["note"] or ("without " + ", ".join(absent) if absent else ""), unlike and f"unfamiliar {unlike}"]
    return f"{name:<40}  {answer['label']:<10} {share:>4.0%}  {'; '.join(filter(None, notes))}".rstrip()


def unfamiliar_modalities(answer: Mapping[str, Any]) -> str:
    """The modalities that are unlike what the model was trained on, with commas between; empty where none is."""
    return ", ".join(name for name, use in answer.get("modalities", {}).items() if use["unfamiliar"])
