"""A comparison of models as a table to read and as a page."""

from __future__ import annotations

from pathlib import Path

from emofuse.core.files import atomic_write, writable
from emofuse.core.metrics import METRICS, worded
from emofuse.evaluation.comparison import Comparison
from emofuse.reporting.pages import render, score, signed, spread


def comparison_lines(comparison: Comparison) -> list[list[str]]:
    """The table in words: a heading, then a row a source."""
    first = comparison.names[0]
    lines = [["", *(worded(name) for name in METRICS), "less the first", "wins"]]
    for name in comparison.names:
        metrics = [f"{score(each['value'])}\n{spread(each)}" for each in comparison.scores[name].values()]
        apart = comparison.difference(name, first)
        less = "" if apart is None else f"{signed(apart['value'])}\n{spread(apart, True)}"
        lines.append([name, *metrics, less, "" if apart is None else f"{100 * apart['wins']:.0f}%"])
    return lines


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the comparison as HTML that needs nothing else.

    Raises:
        DataError: there can be no such file.
    """
    with writable(path), atomic_write(path) as aside:
        aside.write_text(render("compare.html.j2", comparison=comparison), encoding="utf-8")
