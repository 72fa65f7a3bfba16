"""Measure extraction and evaluation, and write benchmarks/results.json and docs/benchmarks.md: `make bench`."""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from benchmarks import audio, evaluation, numerics, runs, text, visual
from benchmarks.page import RESULTS, shown, write_page
from benchmarks.timing import Figure, copies
from demo_corpus.build import build_corpus
from emofuse.core.device import available_cores
from emofuse.core.errors import MediaError, guard
from emofuse.core.files import read_json, write_json
from emofuse.core.params import Params, load_params
from emofuse.core.text import clean_text
from emofuse.media.clip import FileClip

PARTS = ("media", "text", "numerics", "runs", "memory", "evaluation")
FILMS = (".mp4", ".mov", ".mkv", ".avi", ".webm")


def main(media: Path | None, texts: Path | None, parts: list[str], utterances: int) -> None:
    """Measure the chosen parts; the others keep their last figures."""
    params = load_params()
    results = read_json(RESULTS) if RESULTS.is_file() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_corpus(folder / "corpus", max(3, utterances // 7), utterances, params.seed)
        drawn = [clip for clip in sorted((folder / "corpus").rglob("*.mp4")) if _sounds(clip)]
        for part in parts:
            on, figures = _measured(part, params, media, texts, drawn, folder, utterances)
            results[part] = {"on": on, "cores": available_cores(), "figures": [asdict(figure) for figure in figures]}
            write_json(RESULTS, results)
            for figure in figures:
                print(f"{shown(figure.value):>8}  {figure.name} ({figure.wanted or 'no aim'}; {figure.detail})")
    write_page(results)


def _measured(
    part: str, params: Params, media: Path | None, texts: Path | None, drawn: list[Path], folder: Path, utterances: int
) -> tuple[str, list[Figure]]:
    match part:
        case "media":
            films = sorted(path for path in media.iterdir() if path.suffix in FILMS) if media else drawn[:30]
            heard = [clip for clip in films if _sounds(clip)] or drawn[:30]
            on = f"{len(films)} {'real' if media else 'drawn'} clips"
            return on, visual.measure(films, params.visual) + audio.measure(heard, params.audio)
        case "text":
            said, on = _texts(texts, folder)
            return on, text.measure(said, params.text)
        case "numerics":
            said, on = _texts(texts, folder)
            write_json(folder / "texts.json", said)
            return f"{on}, {numerics.ROWS} rows of drawn numbers", numerics.measure(folder / "texts.json")
        case "runs":
            many = copies(drawn, utterances + 1, folder / "many")
            figures = runs.workers_and_ray(params, many[:160]) + runs.cache(params, many, folder)
            return f"{len(many)} drawn clips", figures
        case "memory":
            return "20 drawn clips, 4,001 texts", runs.memory(drawn[:20], folder)
        case _:
            return "made-up tables of MELD's size", evaluation.measure(params, folder / "meld")


def _texts(texts: Path | None, folder: Path) -> tuple[list[str], str]:
    """What is encoded, and what it is."""
    table = texts or next((folder / "corpus").glob("train*.csv"))
    said = [clean_text(words) for words in pd.read_csv(table)["Utterance"][:2000]]
    return said, f"{len(said)} {'real' if texts else 'made-up'} texts"


def _sounds(clip: Path) -> bool:
    try:
        return len(FileClip(clip).sound(8000)) > 0
    except MediaError:
        return False


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--media", type=Path, help="a folder of real clips; drawn ones unless given")
    parser.add_argument("--texts", type=Path, help="a CSV with a column Utterance; the built-in corpus's unless given")
    parser.add_argument("--utterances", type=int, default=400, help="clips of the runs that are timed as a whole")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; all unless given")
    asked = parser.parse_args()
    with guard():
        main(asked.media, asked.texts, asked.parts or list(PARTS), asked.utterances)
