"""The data report as a page: tables and pictures of the findings, in one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from emofuse.core.files import atomic_write
from emofuse.datasets.data_findings import QUANTILES
from emofuse.reporting.contact_sheet import Seen
from emofuse.reporting.pages import render

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SHOWN = 40  # groups of duplicates a kind; the JSON holds all


def write_page(
    path: Path, report: Mapping[str, Any], manifest: pd.DataFrame, sheet: Mapping[str, Sequence[Seen]]
) -> None:
    """Write the report as HTML that needs nothing else, not even a network.

    Args:
        path: of the page.
        report: what `data_findings` gave.
        manifest: what it was given.
        sheet: what `contact_sheet` gave.
    """
    page = render(
        "data.html.j2",
        f=report,
        labels=_ordered(report["labels"]),
        speakers=_ordered(report["speakers"]),
        splits=list(report["dataset"]["splits"]),
        quantiles=list(QUANTILES),
        shown=SHOWN,
        sheet=sheet,
        pictures={
            "labels": _labels(report),
            "durations": _durations(manifest),
            "modalities": _modalities(report),
        },
    )
    with atomic_write(path) as aside:
        aside.write_text(page, encoding="utf-8")


def _ordered(counts: Mapping[str, Mapping[str, int]]) -> list[tuple[str, Mapping[str, int]]]:
    return sorted(counts.items(), key=lambda item: (-sum(item[1].values()), item[0]))


def _labels(report: Mapping[str, Any]) -> str:
    ordered = _ordered(report["labels"])[:20]
    names = [name for name, _ in ordered]
    figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
    bottom = np.zeros(len(names))
    for split in report["dataset"]["splits"]:
        counts = np.array([by_split.get(split, 0) for _, by_split in ordered])
        axes.bar(names, counts, bottom=bottom, label=split)
        bottom += counts
    axes.set(ylabel="utterances")
    axes.tick_params(axis="x", rotation=30)
    axes.legend()
    return _png(figure)


def _durations(manifest: pd.DataFrame) -> str:
    lengths = (manifest["end"] - manifest["start"]).dropna()
    figure, axes = plt.subplots(figsize=(8, 2.2), layout="constrained")
    if len(lengths):
        axes.hist(lengths.clip(0, lengths.quantile(0.99)), bins=50)
    axes.set(xlabel="seconds (the longest hundredth in the last bar)", ylabel="utterances")
    return _png(figure)


def _modalities(report: Mapping[str, Any]) -> str:
    figure, axes = plt.subplots(figsize=(8, 2.4), layout="constrained")
    splits = report["modalities"]
    width = 0.8 / len(splits)
    for index, (split, modalities) in enumerate(splits.items()):
        shares = [m["present"] / report["dataset"]["splits"][split] for m in modalities.values()]
        axes.bar(np.arange(len(shares)) + index * width, shares, width, label=split)
    names = list(next(iter(splits.values())))
    axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names)
    axes.set(ylabel="share present", ylim=(0, 1.05))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return _png(figure)


def _png(figure: matplotlib.figure.Figure) -> str:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=90, metadata={"Software": None})
    plt.close(figure)
    return base64.b64encode(drawn.getvalue()).decode()
