"""The lines around an utterance in its dialogue, as a model that reads context gets them.

Other lines are read by their words and by who says them, never by their sound or picture: a service that is sent the
lines that were said before then answers as the evaluation does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from emofuse.core.params import AttentionParams
from emofuse.core.records import FeatureTable, Utterance
from emofuse.fusion.base import Context
from emofuse.fusion.scaling import Scaler

if TYPE_CHECKING:
    import pandas as pd

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
    from emofuse.core.tables import dialogue_order  # with pandas, which what is served does without

    order, dialogue = dialogue_order(manifest)
    index, who = _around(dialogue, _codes(manifest["speaker"].iloc[order].fillna("")), params)
    rows = np.full((len(manifest), index.shape[1]), -1, dtype=np.int64)
    speaker = np.full_like(rows, UNKNOWN)
    rows[order], speaker[order] = np.where(index >= 0, order[index], -1), who
    return Lines(words, rows, speaker)


def utterance_lines(
    utterances: Sequence[Utterance], read: Callable[[list[Utterance]], FeatureTable], params: AttentionParams
) -> Lines:
    """Take the lines before n utterances from their own `context`; `read` extracts the words of each line, once."""
    talks = [[*_before(utterance), utterance] for utterance in utterances]
    flat = [line for talk in talks for line in talk]
    lengths = [len(talk) for talk in talks]
    last = np.cumsum(lengths, dtype=np.int64) - 1
    dialogue = np.repeat(np.arange(len(talks)), lengths)
    index, who = (part[last] for part in _around(dialogue, _codes([line.speaker for line in flat]), params))
    lines: dict[Utterance, int] = {}
    index[index >= 0] = [lines.setdefault(flat[position], len(lines)) for position in index[index >= 0]]
    return Lines(read(list(lines)), index, who)


def _before(utterance: Utterance) -> Iterator[Utterance]:
    """The lines before an utterance, each with those before it in turn."""
    for number, line in enumerate(utterance.context):
        yield Utterance(line.text, line.speaker, line.start, line.end, context=utterance.context[:number])


def _codes(speakers: Iterable[str | None]) -> NDArray[np.int64]:
    """A number a speaker, -1 where unknown."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) if name else -1 for name in speakers], dtype=np.int64)


def _around(
    dialogue: NDArray[np.int64], speaker: NDArray[np.int64], params: AttentionParams
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The lines around each of n lines that stand dialogue by dialogue, in the order of what was said.

    Returns:
        Number and speaker of each, as in `Lines`.
    """
    steps = _steps(params)
    number = np.arange(len(dialogue))
    index = np.full((len(dialogue), len(steps)), -1, dtype=np.int64)
    who = np.full_like(index, UNKNOWN)
    for column, step in enumerate(steps):
        other = number - step
        inside = (other >= 0) & (other < len(dialogue))
        inside[inside] = dialogue[other[inside]] == dialogue[inside]
        here, there = speaker[inside], speaker[other[inside]]
        index[inside, column] = other[inside]
        who[inside, column] = np.where((here < 0) | (there < 0), UNKNOWN, np.where(here == there, SAME, OTHER))
    return index, who


def _steps(params: AttentionParams) -> list[int]:
    """How many lines back each column looks; below 0 it looks ahead."""
    back = list(range(1, params.window + 1))
    return {"none": [], "causal": back, "both": back + [-step for step in back]}[params.context]
