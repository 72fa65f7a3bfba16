"""Building the corpus: plan, clips by a pool of processes, tables in MELD's layout."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from tqdm import tqdm

from demo_corpus.cast import CAST
from demo_corpus.clip import write_clip
from demo_corpus.espeak import SAMPLE_RATE, require_espeak
from demo_corpus.plan import SPLITS, Line, plan_corpus
from demo_corpus.scene import film
from demo_corpus.voice import FRAME_RATE, loudness, say
from emofuse.core.errors import DataError
from emofuse.core.processes import processes

FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
COLUMNS = ("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode",
           "StartTime", "EndTime")  # fmt: skip

_SENTIMENT = {"neutral": "neutral", "joy": "positive"}
_EPISODES = 8
_SOUND, _PICTURES, _TIMES = range(3)
# A truncated file lacks its end, and with it the index that mp4 keeps there.
_KEPT_SHARE = 0.6


def build_corpus(root: Path, dialogues: int, utterances: int, seed: int, workers: int | None = None) -> None:
    """Build the synthetic corpus: three tables and about one clip for each utterance, in MELD's layout.

    The same arguments give the same bytes, whatever the number of workers. The corpus appears at `root` only when it is
    complete: until then it grows in the hidden folder `.<name>.partial` beside it, which the next run clears.

    Args:
        root: folder to make; it must not exist, or be empty.
        dialogues: number of dialogues in all splits, at least 3.
        utterances: number of utterances in all splits, at least two a dialogue.
        seed: source of all chance.
        workers: processes to use; by default one a core.

    Raises:
        ParamsError: too few dialogues or utterances.
        DataError: `root` holds something already.
        EmofuseError: espeak-ng is not installed.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DataError(f"{root}: exists already; the corpus is built into a new folder: remove it first")
    require_espeak()
    lines = plan_corpus(dialogues, utterances, seed)
    with _growing(root) as partial:
        for folder in FOLDERS.values():
            (partial / folder).mkdir()
        frames = _make_clips(partial, lines, seed, min(workers or os.cpu_count() or 1, len(lines)))
        for split in SPLITS:
            rows = [(line, count) for line, count in zip(lines, frames, strict=True) if line.split == split]
            _write_table(partial / f"{split}_sent_emo.csv", rows, seed)


def clip_path(root: Path, line: Line) -> Path:
    """Where a line's clip lies below the folder of the corpus."""
    return root / FOLDERS[line.split] / f"dia{line.dialogue}_utt{line.utterance}.mp4"


def make_clip(root: Path, line: Line, seed: int) -> int:
    """Speak, film and write one line, with its flaw if it has one; returns the length in pictures."""
    speaker = CAST[line.speaker]
    sound = say(line.spoken, speaker, line.voice, line.rng(seed, _SOUND))
    if line.flaw == "missing":
        return sound.frames
    rng = line.rng(seed, _PICTURES)
    turned_away = bool(rng.random() < 0.5) if line.flaw == "no_face" else None
    pictures = film(speaker, line.face, loudness(sound), line.dialogue, turned_away, rng)
    path = clip_path(root, line)
    write_clip(path, pictures, FRAME_RATE, None if line.flaw == "no_sound" else sound.samples, SAMPLE_RATE)
    if line.flaw == "truncated":
        os.truncate(path, int(path.stat().st_size * _KEPT_SHARE))
    return sound.frames


@contextmanager
def _growing(root: Path) -> Iterator[Path]:
    partial = root.with_name(f".{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if root.exists():
            root.rmdir()
        partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _make_clips(root: Path, lines: list[Line], seed: int, workers: int) -> list[int]:
    with processes(workers, cv2.setNumThreads, 1) as submit:
        clips = [submit(make_clip, root, line, seed) for line in lines]
        # Where nobody watches, a line every ten seconds is enough for a log.
        seconds = 0.2 if sys.stderr.isatty() else 10.0
        return [clip.result() for clip in tqdm(clips, "corpus", unit="clip", mininterval=seconds)]


def _write_table(path: Path, rows: list[tuple[Line, int]], seed: int) -> None:
    clock = 0.0
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for number, (line, frames) in enumerate(rows, 1):
            rng = line.rng(seed, _TIMES)
            # Dialogues follow each other through the episodes; each starts at a minute of its own.
            if line.utterance == 0:
                clock = 60.0 * (1 + 3 * (line.dialogue // _EPISODES % 7)) + rng.uniform(0, 60)
            start = round(clock + rng.uniform(0.04, 0.9), 3)
            clock = start + frames / FRAME_RATE
            sentiment = _SENTIMENT.get(line.emotion, "negative")
            if line.emotion == "surprise" and rng.random() < 0.5:
                sentiment = "positive"
            episode = line.dialogue % _EPISODES + 1
            table.writerow(
                (number, line.text, CAST[line.speaker].name, line.emotion, sentiment, line.dialogue, line.utterance,
                 list(SPLITS).index(line.split) + 1, episode, _time(start), _time(clock))
            )  # fmt: skip


def _time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return (
        f"{milliseconds // 3_600_000:02}:{milliseconds // 60_000 % 60:02}:{milliseconds // 1000 % 60:02},"
        f"{milliseconds % 1000:03}"
    )
