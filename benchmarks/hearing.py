"""How well words are heard, and how fast: word error rate over a table of clips with their words.

`python -m benchmarks.hearing voices/table.csv --media file` prints the table.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from emofuse.core import numerics

numerics.pin()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402
import typer  # noqa: E402

from emofuse.core.device import available_cores  # noqa: E402
from emofuse.core.params import load_params  # noqa: E402
from emofuse.core.records import Extracted, Utterance  # noqa: E402
from emofuse.media.clip import FileClip  # noqa: E402
from emofuse.transcription.extractor import TranscriptExtractor  # noqa: E402
from emofuse.transcription.words import text_of_words, unpack_words  # noqa: E402


def plain(text: str) -> list[str]:
    """The words without marks and capitals."""
    return re.sub(r"[^\w' ]", " ", text.casefold()).split()


def edits(wanted: Sequence[str], result: Sequence[str]) -> int:
    """Fewest words to change, leave out or put in (Levenshtein)."""
    row = np.arange(len(result) + 1)
    for number, word in enumerate(wanted, 1):
        above, row = row, np.full(len(result) + 1, number)
        for place, other in enumerate(result, 1):
            row[place] = min(above[place] + 1, row[place - 1] + 1, above[place - 1] + (word != other))
    return int(row[-1])


def text_of_row(row: Extracted) -> str:
    """What was heard; empty where nothing was."""
    return "" if row.values is None else text_of_words(unpack_words(row.values))


def main(
    table: Annotated[Path, typer.Argument(help="CSV of clips and what is said in them")],
    media: Annotated[str, typer.Option(help="column of the clips")] = "media",
    text: Annotated[str, typer.Option(help="column of the words")] = "text",
    recogniser: Annotated[str, typer.Option(help="as text.recogniser")] = "embedded",
    every: Annotated[int, typer.Option(help="hear each so manieth clip one by one, too")] = 16,
) -> None:
    """Print the word error rate of all clips, and how long a second of sound takes."""
    rows = pd.read_csv(table)
    clips = [Utterance(clip=table.parent / name) for name in rows[media]]
    lasts = np.array([FileClip(table.parent / name).seconds() for name in rows[media]])
    extractor = TranscriptExtractor(load_params().text.model_copy(update={"recogniser": recogniser}), "cpu")
    extractor.warm_up()
    began = time.process_time()
    for clip in clips[::every]:
        list(extractor.extract([clip]))
    single = (time.process_time() - began) / lasts[::every].sum()
    torch.set_num_threads(available_cores())
    began = time.perf_counter()
    results = [text_of_row(row) for row in extractor.extract(clips)]
    together = (time.perf_counter() - began) / lasts.sum()
    wanted = [plain(words) for words in rows[text]]
    wrong = sum(edits(words, plain(result)) for words, result in zip(wanted, results, strict=True))
    print(f"| {len(clips)} clips, {lasts.sum():.0f} s, {recogniser} | figure |\n|---|--:|")
    print(f"| word error rate | {wrong / sum(map(len, wanted)):.3f} |")
    print(f"| clips without words | {results.count('')} |")
    print(f"| seconds a second of sound, one by one, one thread | {single:.3f} |")
    print(f"| the same, in batches, {available_cores()} threads | {together:.3f} |")


if __name__ == "__main__":
    typer.run(main)
