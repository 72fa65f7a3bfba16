"""The original system beside today's, for docs/evaluation.md: `python -m benchmarks.original TODAY ORIGINAL`.

These are two runs on the same data, each as `emofuse compare` takes one: a DVC revision or experiment, or a
predictions.parquet. The second is of the preset:

    dvc exp run --name original $(emofuse preset original) -S text.encoder=embedded
    python -m benchmarks.original main original
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.page import filled
from emofuse.core.errors import DataError, guard
from emofuse.core.files import read_json, write_json
from emofuse.core.metrics import METRICS, worded
from emofuse.core.params import Params, load_params
from emofuse.evaluation.comparison import compare
from emofuse.evaluation.sources import read_source
from emofuse.reporting.pages import score, signed, spread
from emofuse.tracking import run_file

RESULTS, PAGE = Path("benchmarks/original.json"), Path("docs/evaluation.md")
ORIGINAL = ("early", "late")  # its two models
TODAY = ("early", "late", "attention", "ensemble")
SPLIT = "test"


def measure(today: str, original: str, params: Params) -> dict[str, Any]:
    """The scores of each system on test with their intervals, and its weighted F1 less the original's early fusion."""
    runs = {"original": (original, ORIGINAL), "today": (today, TODAY)}
    systems = {f"{name}, {model}": f"{run}:{model}" for name, (run, models) in runs.items() for model in models}
    sources = [read_source(source, run_file) for source in systems.values()]
    result = compare(sources, SPLIT, params.evaluate.resamples, params.seed)
    first = result.names[0]
    return {
        "on": {"rows": result.rows, "groups": result.groups, "drawn": result.drawn},
        "systems": {
            name: {"scores": result.scores[source.name], "less": result.difference(source.name, first)}
            for name, source in zip(systems, sources, strict=True)
        },
    }


def table(results: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    on, systems = results["on"], results["systems"]
    lines = [
        f"| | {' | '.join(worded(name) for name in METRICS)} | weighted F1 less the original's early |",
        f"|---{'|---' * len(METRICS)}|---|",
    ]
    certain = []
    for name in (f"{run}, {model}" for run, models in (("original", ORIGINAL), ("today", TODAY)) for model in models):
        scores, less = systems[name]["scores"], systems[name]["less"]
        cells = [f"{score(scores[metric]['value'])} ({spread(scores[metric])})" for metric in METRICS]
        apart = f"{signed(less['value'])} ({spread(less, True)})" if less else ""
        lines.append(f"| {name} | {' | '.join(cells)} | {apart} |")
        if less and None not in (less["low"], less["high"]) and (less["low"] > 0 or less["high"] < 0):
            certain.append(name)
    verdict = f"Beyond chance: {'; '.join(certain)}." if certain else "Every interval of a difference holds both signs."
    measured = f"{on['rows']} {SPLIT} rows in {on['groups']} {on['drawn']}; in brackets 95% intervals. {verdict}"
    return "\n".join([*lines, "", measured])


if __name__ == "__main__":
    with guard():
        if len(sys.argv) != 3:
            raise DataError(f"found {len(sys.argv) - 1} arguments, expected two runs: TODAY ORIGINAL")
        write_json(RESULTS, measure(sys.argv[1], sys.argv[2], load_params()))
        figures = read_json(RESULTS)
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), "original", table(figures)), encoding="utf-8")
        print(table(figures))
