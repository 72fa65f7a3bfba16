"""The stage's work: the sound of utterances without words to data/transcripts.csv."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pandas as pd

from emofuse.core.params import Params, TextParams
from emofuse.core.records import Extracted
from emofuse.core.tables import utterances
from emofuse.datasets.transcripts import COLUMNS, PLACE, update_transcripts
from emofuse.extraction.content import clip_content
from emofuse.extraction.run import Task, extract_rows
from emofuse.features.contract import Extractor
from emofuse.transcription.words import Word, confidence_of, text_of_words, unpack_words

TASK = "transcript"


def _make(params: TextParams) -> Extractor:
    from emofuse.core.device import pick_device
    from emofuse.transcription.extractor import TranscriptExtractor

    return TranscriptExtractor(params, pick_device())


def transcribe(manifest: pd.DataFrame, params: Params, path: Path) -> pd.DataFrame:
    """Hear the rows that `text.transcribe` names and write their words; what people have corrected stays.

    Args:
        manifest: all rows.
        params: all of params.yaml.
        path: of the table.

    Returns:
        The table, as `datasets.transcripts` has it.

    Raises:
        DataError: the table can't be read.
        EncoderError: the recogniser can't be loaded.
    """
    text = params.text
    wanted = manifest["clip"].notna()
    if text.transcribe == "missing":
        wanted &= manifest["text"].str.strip() == ""
    if text.transcribe == "never" or text.recogniser is None:
        wanted &= False
    asked = manifest[wanted]
    rows = utterances(asked, params.extract.clips or params.ingest.root)
    task = Task(TASK, text, partial(_make, text), clip_content)
    heard = [_columns(row) for row in extract_rows(task, rows, params.extract)] if rows else []
    places = asked[PLACE].assign(clip_sha256=asked["clip_sha256"].fillna("")).reset_index(drop=True)
    frame = pd.concat([places, pd.DataFrame(heard, columns=[name for name in COLUMNS if name not in PLACE])], axis=1)
    return update_transcripts(path, frame)


def _columns(row: Extracted) -> dict[str, str]:
    words = [] if row.values is None else unpack_words(row.values)
    text = text_of_words(words)
    times = {"start": f"{words[0].start:.2f}", "end": f"{words[-1].end:.2f}"} if words else {"start": "", "end": ""}
    return {
        "text": text,
        "heard": text,
        "confidence": f"{confidence_of(words):.3f}" if words else "",
        "words": json.dumps([_plain(word) for word in words], ensure_ascii=False) if words else "",
        "reason": row.reason,
        **times,
    }


def _plain(word: Word) -> list[str | float]:
    return [word.text, round(word.start, 2), round(word.end, 2), round(word.confidence, 3)]
