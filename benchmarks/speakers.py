"""How well lines are put to their speakers, over films of clips whose speakers are known.

`python -m benchmarks.speakers voices/table.csv --media file --speaker actor --first 1` prints the table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from emofuse.core import numerics

numerics.pin()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import typer  # noqa: E402
from sklearn.metrics import adjusted_rand_score, homogeneity_score  # noqa: E402

from emofuse.core.device import pick_device  # noqa: E402
from emofuse.media.clip import FileClip  # noqa: E402
from emofuse.transcription.extractor import loud_spans  # noqa: E402
from emofuse.transcription.recogniser import Sound  # noqa: E402
from emofuse.transcription.speakers import group_voices, load_voices  # noqa: E402
from emofuse.transcription.voice_activity import RATE  # noqa: E402

SPEAKERS = (1, 2, 3, 4)  # of a film


def speech_of(clip: Path) -> Sound:
    """The sound from the first speech to the last; empty where there is none."""
    sound = FileClip(clip).sound(RATE)
    spans = loud_spans(sound)
    return sound[round(spans[0].start * RATE) : round(spans[-1].end * RATE)] if spans else sound[:0]


def main(
    table: Annotated[Path, typer.Argument(help="CSV of clips and who speaks in them")],
    media: Annotated[str, typer.Option(help="column of the clips")] = "media",
    speaker: Annotated[str, typer.Option(help="column of the speakers")] = "speaker",
    model: Annotated[str | None, typer.Option(help="as serve.speakers")] = None,
    first: Annotated[int, typer.Option(help="0 or 1: every other speaker from the first or the second on")] = 1,
    films: Annotated[int, typer.Option(help="for each number of speakers")] = 40,
    lines: Annotated[int, typer.Option(help="of a film")] = 24,
    seed: Annotated[int, typer.Option(help="that draws them")] = 0,
) -> None:
    """Print how alike the speakers that are heard are to those who speak, by their number."""
    rows = pd.read_csv(table)
    names = sorted(rows[speaker].unique())[first::2]
    rows = rows[rows[speaker].isin(names)]
    sounds = [speech_of(table.parent / name) for name in rows[media]]
    kept = [number for number, sound in enumerate(sounds) if len(sound)]
    voices = load_voices(model, pick_device())
    vectors = np.array([voices.vector(sounds[number]) for number in kept])
    seconds = np.array([len(sounds[number]) / RATE for number in kept])
    who = rows[speaker].to_numpy()[kept]
    random = np.random.default_rng(seed)
    print(f"| speakers ({lines} lines of {seconds.mean():.1f} s, {voices.name}) | heard | homogeneity | ", end="")
    print("adjusted Rand index | the same, their number given |\n|---|--:|--:|--:|--:|")
    for count in SPEAKERS:
        scores = []
        for _ in range(films):
            cast = random.choice(names, count, replace=False)
            takes = [random.choice(np.flatnonzero(who == name), lines // count, replace=False) for name in cast]
            film = random.permutation(np.concatenate(takes))
            heard, given = (group_voices(vectors[film], seconds[film], voices, number) for number in (None, count))
            actual = who[film]
            alike = [adjusted_rand_score(actual, result) for result in (heard, given)]
            scores.append([max(heard), homogeneity_score(actual, heard), *alike])
        mean = np.mean(scores, axis=0)
        print(f"| {count} | {mean[0]:.1f} | {mean[1]:.2f} | {mean[2]:.2f} | {mean[3]:.2f} |")


if __name__ == "__main__":
    typer.run(main)
