"""Whole extractions: workers, Ray, the cache, one new clip, memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.timing import Figure, rate, seconds
from emofuse.core.params import Params, load_params
from emofuse.core.records import Utterance
from emofuse.extraction.content import clip_content, text_content
from emofuse.extraction.engine import Engine
from emofuse.extraction.run import Task, extract
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.contract import Extractor
from emofuse.features.text.extractor import TextExtractor
from emofuse.features.visual.extractor import VisualExtractor

ROUNDS = 2
WARM = 16  # results that are left out of a rate


def task(modality: str, params: Params) -> Task:
    """A modality's extraction, as its stage has it."""
    make: Callable[[], Extractor]
    if modality == "text":
        return Task("text", params.text, partial(TextExtractor, params.text), partial(text_content, params.text))
    make = partial(AudioExtractor, params.audio) if modality == "audio" else partial(VisualExtractor, params.visual)
    return Task(modality, params.extractor(modality), make, clip_content)


def speed(params: Params, rows: list[Utterance], engine: str, workers: int) -> tuple[float, list[bytes]]:
    """Clips a second of visual extraction, and the bytes of its rows in order."""
    run = params.extract.model_copy(update={"engine": engine, "workers": workers})
    found: dict[bytes, bytes] = {}

    def results() -> Iterator[None]:
        items = ((number.to_bytes(4, "big"), row) for number, row in enumerate(rows))
        for key, row in Engine(run, own_process=False).run(task("visual", params).make, items):
            found[key] = row.reason.encode() if row.values is None else row.values.tobytes()
            yield None

    return rate(results(), len(rows), WARM), [found[key] for key in sorted(found)]


def workers_and_ray(params: Params, clips: list[Path]) -> list[Figure]:
    """Two worker processes against one, and Ray with two processors against both."""
    rows = [Utterance(clip=clip) for clip in clips]
    ways = [("processes", 1), ("processes", 2), ("ray", 2)]
    rates = dict.fromkeys(ways, 0.0)
    seen = set()
    for way in ways * ROUNDS:  # in turn, so that what disturbs the machine disturbs all
        found, made = speed(params, rows, *way)
        rates[way] += found / ROUNDS
        seen.add(b"".join(made))
    one, two, ray = rates.values()
    bytes_are = "the same bytes" if len(seen) == 1 else "OTHER BYTES"
    return [
        Figure("two worker processes against one", two / one, "at least 1.8", f"{two:.1f} against {one:.1f} clips/s"),
        Figure(
            "Ray against two processes", ray / two, "at least 0.8", f"{ray:.1f} against {two:.1f} clips/s, {bytes_are}"
        ),
    ]


def cache(params: Params, clips: list[Path], folder: Path) -> list[Figure]:
    """Cold against cached, and one new clip among many, for each modality of media."""
    rows = [Utterance(clip=clip) for clip in clips]
    figures = []
    for modality in ("visual", "audio"):
        alone = _timed(params, modality, rows[:1], folder / "alone")
        cold, cached = (_timed(params, modality, rows[:-1], folder / "cache") for _ in range(2))
        added = _timed(params, modality, rows, folder / "cache")
        figures += [
            Figure(
                f"{modality}: cold against cached",
                cold / cached,
                "at least 50",
                f"{cold:.2f} s against {cached:.3f} s, {len(rows) - 1} clips",
            ),
            Figure(
                f"{modality}: one new clip in {len(rows)}, % of cold beyond start-up",
                100 * (added - alone) / cold,
                "at most 3",
                f"{added:.2f} s, of which a clip alone takes {alone:.2f} s",
            ),
        ]
    return figures


def _timed(params: Params, modality: str, rows: list[Utterance], cache: Path) -> float:
    run = params.extract.model_copy(update={"cache": cache})
    keys = _keys(len(rows))
    return seconds(lambda: extract(task(modality, params), rows, keys, cache / f"{modality}.parquet", run))


def _keys(count: int) -> pd.DataFrame:
    return pd.DataFrame({"split": "train", "dialogue": "0", "utterance": np.arange(count)})


def memory(clips: list[Path], folder: Path) -> list[Figure]:
    """The most memory that any process of an extraction of many rows holds."""
    figures = []
    for modality in ("audio", "text"):
        found = {}
        for rows in (5_000, 20_000):
            asked = [modality, str(rows), str(folder / f"{rows} rows"), *map(str, clips)]
            command = [sys.executable, "-m", "benchmarks.runs", *asked]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[rows] = int(done.stdout.split()[-1]) / 2**20
        figures.append(
            Figure(
                f"{modality}, 20,000 rows: GB in any process",
                found[20_000],
                "at most 1.5, as with 5,000",
                f"{found[5_000]:.2f} GB with 5,000 rows",
            )
        )
    return figures


def _hold(modality: str, count: int, folder: Path, clips: list[Path]) -> None:
    params = load_params()
    words = [f"{number % 4001} words that nobody said before the {number % 13}th of may" for number in range(count)]
    rows = [Utterance(clip=clips[n % len(clips)], text=words[n]) for n in range(count)]
    run = params.extract.model_copy(update={"cache": folder / modality})
    extract(task(modality, params), rows, _keys(count), folder / f"{modality}.parquet", run)
    print(max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


if __name__ == "__main__":
    _hold(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), [Path(name) for name in sys.argv[4:]])
