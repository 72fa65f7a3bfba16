"""The lines around an utterance in its dialogue, as a model that reads context gets them.

Other lines are read by their words and by who says them, never by their sound or picture: a service that is sent the
lines that were said before then answers as the evaluation does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from emofuse.core.params import AttentionParams
from emofuse.core.records import FeatureTable, Line, Utterance
from emofuse.fusion.base import Context
from emofuse.fusion.scaling import Scaler

UNKNOWN, OTHER, SAME = 0, 1, 2  # who says a line: not known, another than the utterance's speaker, or the same


@dataclass(frozen=True)
class Lines:
    """The lines around each of n utterances.

    Attributes:
        words: text features of m lines.
        index: int64 of shape (n, c), the row of each line in `words` or -1 for none: the earlier ones, nearest first,
            then, where a model reads both ways, as many later ones, nearest first.
        speaker: int64 of shape (n, c): `UNKNOWN`, `OTHER` or `SAME`.
    """

    words: FeatureTable
    index: NDArray[np.int64]
    speaker: NDArray[np.int64]

    def select(self, rows: NDArray[np.bool_]) -> Lines:
        """The lines around some of the utterances."""
        return Lines(self.words, self.index[rows], self.speaker[rows])

    def scaled(self, scaler: Scaler) -> Context:
        """The same as tensors."""
        words, has_text = torch.from_numpy(scaler.transform(self.words)), torch.from_numpy(self.words.present)
        return Context(words, has_text, torch.from_numpy(self.index), torch.from_numpy(self.speaker))


def manifest_lines(manifest: pd.DataFrame, words: FeatureTable, params: AttentionParams) -> Lines:
    """Find the lines around n rows of the manifest, which hold whole dialogues; `words` are the text features of these.

    A row without a position stands alone.
    """
    frame = manifest.reset_index(drop=True)
    placed = frame.dropna(subset=["position"]).sort_values(["split", "dialogue", "position"], kind="stable")
    order = placed.index.to_numpy()
    dialogue = placed.groupby(["split", "dialogue"], sort=False).ngroup().to_numpy()
    speaker = pd.factorize(frame["speaker"])[0]  # -1 where unknown
    rank = np.arange(len(order))
    index, who = _none(len(frame), params)
    for column, step in enumerate(_steps(params)):
        other = rank - step
        inside = (other >= 0) & (other < len(order))
        inside[inside] = dialogue[other[inside]] == dialogue[inside]
        row, line = order[inside], order[other[inside]]
        index[row, column] = line
        known = (speaker[row] >= 0) & (speaker[line] >= 0)
        who[row, column] = np.where(known, np.where(speaker[row] == speaker[line], SAME, OTHER), UNKNOWN)
    return Lines(words, index, who)


def utterance_lines(
    utterances: Sequence[Utterance], read: Callable[[list[Utterance]], FeatureTable], params: AttentionParams
) -> Lines:
    """Take the lines before n utterances from their own `context`; `read` extracts the words of each line, once."""
    lines: dict[Utterance, int] = {}
    index, who = _none(len(utterances), params)
    for row, utterance in enumerate(utterances):
        before = utterance.context
        for column, step in enumerate(_steps(params)):
            if 0 < step <= len(before):
                line = _alone(before[-step], before[:-step])
                index[row, column] = lines.setdefault(line, len(lines))
                known = utterance.speaker is not None and line.speaker is not None
                who[row, column] = (SAME if utterance.speaker == line.speaker else OTHER) if known else UNKNOWN
    return Lines(read(list(lines)), index, who)


def _alone(line: Line, before: tuple[Line, ...]) -> Utterance:
    return Utterance(
        text=line.text,
        clean_text=line.clean_text,
        speaker=line.speaker,
        start=line.start,
        end=line.end,
        context=before,
    )


def _steps(params: AttentionParams) -> list[int]:
    """How many lines back each column looks; below 0 it looks ahead."""
    back = list(range(1, params.window + 1))
    return {"none": [], "causal": back, "both": back + [-step for step in back]}[params.context]


def _none(rows: int, params: AttentionParams) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    shape = (rows, len(_steps(params)))
    return np.full(shape, -1, dtype=np.int64), np.full(shape, UNKNOWN, dtype=np.int64)
