"""Join a dialogue of the built-in corpus to one film with subtitles, to have something to try the others on.

`python -m examples.make_film film.mp4`, in the checkout, writes film.mp4 and film.srt from data/corpus, which
`make repro` builds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pysubs2

from demo_corpus.build import FOLDERS
from demo_corpus.clip import Picture, write_clip
from demo_corpus.espeak import SAMPLE_RATE
from demo_corpus.voice import FRAME_RATE
from emofuse.core.errors import DataError, MediaError, guard
from emofuse.media.clip import FileClip


def make_film(corpus: Path, split: str, dialogue: int, target: Path) -> None:
    """Write a dialogue's clips one after the other, and what is said in them; broken and mute ones are left out.

    Raises:
        DataError: the corpus has no such dialogue.
    """
    table = corpus / f"{split}_sent_emo.csv"
    if not table.is_file():
        raise DataError(f"{table}: no such file; `dvc repro corpus` builds the corpus where ingest.layout is demo")
    lines = pd.read_csv(table).query("Dialogue_ID == @dialogue")
    pictures: list[Picture] = []
    sounds: list[np.ndarray] = []
    subtitles = pysubs2.SSAFile()
    for line in lines.itertuples():
        path = corpus / FOLDERS[split] / f"dia{dialogue}_utt{line.Utterance_ID}.mp4"
        try:
            sound = FileClip(path).sound(SAMPLE_RATE)
            shown = list(_pictures(path))
        except (MediaError, OSError):
            continue
        start, end = (round(1000 * count / FRAME_RATE) for count in (len(pictures), len(pictures) + len(shown)))
        subtitles.append(pysubs2.SSAEvent(start=start, end=end, text=str(line.Utterance)))
        pictures += shown
        samples = round(len(shown) * SAMPLE_RATE / FRAME_RATE)
        sounds.append(np.pad(sound[:samples], (0, max(0, samples - len(sound)))))
    if not pictures:
        raise DataError(f"{table}: found no whole clip of dialogue {dialogue}; choose another with --dialogue")
    write_clip(target, pictures, FRAME_RATE, np.concatenate(sounds), SAMPLE_RATE)
    subtitles.save(str(target.with_suffix(".srt")))


def _pictures(path: Path) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", type=Path, help="where it is written")
    parser.add_argument("--corpus", type=Path, default=Path("data/corpus"))
    parser.add_argument("--split", choices=list(FOLDERS), default="test")
    parser.add_argument("--dialogue", type=int, default=0)
    asked = parser.parse_args()
    with guard():
        make_film(asked.corpus, asked.split, asked.dialogue, asked.film)
        print(f"{asked.film} and {asked.film.with_suffix('.srt')}")
