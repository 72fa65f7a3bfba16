"""IEMOCAP (Busso et al., Language Resources and Evaluation 42, 2008): ten actors in five sessions of two, in dialogues.

A dialogue is `Session<N>/dialog/EmoEvaluation/<dialogue>.txt` (times and labels), `dialog/transcriptions/` of the same
name (words) and `sentences/wav/<dialogue>/<utterance>.wav`. Source: sail.usc.edu/iemocap, for research, by request.

Two readings are quoted. `iemocap` has four classes, excitement counted as joy: 5,531 utterances, one session left out
at a time (speech papers). `iemocap_six` has joy, sadness, neutral, anger, excitement and frustration: 7,380
utterances, tested on session 5 (dialogue papers, of which those that build on DialogueRNN's features count 7,433). The
other utterances keep their words and their place, without a label.
`ingest.set` takes `session1` to `session5` or a speaker (`Ses05F`).

Known faults: on 2,507 of 10,039 utterances the raters didn't agree (`xxx`); turns overlap; the scripted dialogues are
the same in every session, so that words leak, and so they do even where sessions are apart; the video shows both
actors of a dialogue at once and is not cut to utterances, so the sound alone is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams
from emofuse.datasets.meld import existing
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.speaker_sets import speaker_set, split_by_speakers

FOUR = {"ang": "anger", "hap": "joy", "exc": "joy", "sad": "sadness", "neu": "neutral"}
SIX = FOUR | {"exc": "excitement", "fru": "frustration"}
TURN = re.compile(
    r"\[(?P<start>[\d.]+) - (?P<end>[\d.]+)\]\s+(?P<name>(Ses\d\d)[MF]_\w+_([MF])\w+)\s+(?P<label>\w+)(\s.*)?"
)
WORDS = re.compile(r"(?P<name>Ses\w+) \[[\d.]+-[\d.]+\]: ?(?P<text>.*)")
SETS = {f"session{n}": speaker_set(f"Ses0{n}F Ses0{n}M") for n in range(1, 6)}


def read_iemocap(params: IngestParams) -> RawRows:
    """Read IEMOCAP in four classes; the root holds the folders of the sessions, or one that does.

    Raises:
        DataError: there is no root, no session in it, or no set of the name that is asked for.
    """
    return _read(params, FOUR)


def read_iemocap_six(params: IngestParams) -> RawRows:
    """The same in six classes."""
    return _read(params, SIX)


def _read(params: IngestParams, labels: Mapping[str, str]) -> RawRows:
    root = existing(params.root, "the folder that holds Session1 to Session5")
    files = sorted(root.rglob("Session[1-5]/dialog/EmoEvaluation/Ses*.txt"))
    if not files:
        raise DataError(
            f"{root}: found no Session1/dialog/EmoEvaluation/*.txt; set ingest.root to IEMOCAP's folder as released"
        )
    frame = pd.concat([_dialogue(root, file, labels) for file in files], ignore_index=True)
    sessions = sorted({file.parents[2].name for file in files})
    notes = [f"{root.name}: found only {', '.join(sessions)} of five sessions"] if len(sessions) < 5 else []
    if params.set is not None:
        frame["split"], more = split_by_speakers(frame["speaker"], params, SETS)
        notes += more
    return RawRows(frame, notes)


def _dialogue(root: Path, file: Path, labels: Mapping[str, str]) -> pd.DataFrame:
    session = file.parents[2]
    transcript = session / "dialog/transcriptions" / file.name
    lines = transcript.read_text("utf-8", "replace").splitlines() if transcript.is_file() else []
    texts = {match["name"]: match["text"] for line in lines if (match := WORDS.fullmatch(line.strip()))}
    content = file.read_text("utf-8", "replace").splitlines()
    turns = [match for line in content if (match := TURN.fullmatch(line.strip()))]
    clips = session.relative_to(root) / "sentences/wav" / file.stem
    rows = [
        {
            "clip": (clips / f"{turn['name']}.wav").as_posix(),
            "text": texts.get(turn["name"], ""),
            "label": labels.get(turn["label"], ""),
            "speaker": turn[4] + turn[5],
            "dialogue": file.stem,
            "utterance": str(number),
            "start": turn["start"],
            "end": turn["end"],
            "source": file.relative_to(root).as_posix(),
            "row": number + 1,
            "issues": [] if turn["label"] in labels else [f"label {turn['label']!r} is none of the classes"],
        }
        for number, turn in enumerate(sorted(turns, key=lambda turn: float(turn["start"])))
    ]
    return pd.DataFrame(rows)
