"""What a search over training params tried, what mattered and what is best, as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from emofuse.core.files import atomic_write, write_json
from emofuse.core.tables import write_csv
from emofuse.training.trial import SearchResult


def write_search(folder: Path, model: str, result: SearchResult) -> None:
    """Write trials.csv, importance.csv, best.json, best.args and a picture; with no trial asked for, no best.

    Args:
        folder: of the files.
        model: whose params were searched.
        result: what came of it.
    """
    rows = [
        {"trial": number, "weighted_f1": trial.score, "pruned": trial.pruned, **_settings(trial.params)}
        for number, trial in enumerate(result.trials)
    ]
    table = pd.DataFrame(rows, columns=None if rows else ["trial", "weighted_f1", "pruned"])
    importance = pd.DataFrame(result.importance.items(), columns=["setting", "importance"])
    write_csv(folder / "trials.csv", table)
    write_csv(folder / "importance.csv", importance)
    best = result.best
    default = result.trials[0].score if best else None
    params = best.params if best else {}
    described = {"weighted_f1": best.score, "default": default, "settings": _settings(params)} if best else {}
    write_json(folder / "best.json", described)
    with atomic_write(folder / "best.args") as aside:
        lines = (f"-S '{name}={str(value).replace(' ', '')}'\n" for name, value in params.items())
        aside.write_text("".join(lines), encoding="utf-8")
    if best:
        from emofuse.reporting.plots import search_picture  # with matplotlib, where there is something to draw

        search_picture(folder / "search.png", model, table, importance)
        print(f"best {best.score:.4f}, default {default:.4f}; try it: xargs dvc exp run < {folder / 'best.args'}")


def _settings(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("train."): value for name, value in params.items()}
