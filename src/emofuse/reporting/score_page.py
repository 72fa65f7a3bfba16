"""What models reach on corpora, as a table to read, as JSON and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emofuse.core.files import atomic_write, writable, write_json
from emofuse.core.metrics import METRICS, worded
from emofuse.evaluation.corpus_score import CorpusScore
from emofuse.fusion.names import MAJORITY
from emofuse.reporting.pages import render, score, spread


def score_lines(scores: Sequence[CorpusScore]) -> list[list[str]]:
    """The table in words: a heading, then a row a model and corpus, the majority class there, and what home gave."""
    lines = [["model", "rows", *(worded(name) for name in METRICS)]]
    for each in scores:
        reached = each.scores[each.model]
        cells = [f"{score(reached[name]['value'])}\n{spread(reached[name])}" for name in METRICS]
        lines.append([f"{each.model} on\n{each.data}", f"{each.rows}\n{each.groups} {each.drawn}", *cells])
        commonest = each.scores[MAJORITY]
        lines.append([f"{MAJORITY} there", "", *(score(commonest[name]["value"]) for name in METRICS)])
        if each.home:
            lines.append([f"{each.model} at home, test", "", *(score(each.home.get(name)) for name in METRICS)])
    return lines


def class_lines(each: CorpusScore) -> list[list[str]]:
    """A heading, then a row a class."""
    heading = ["label", "precision", "recall", "f1", "support"]
    return [
        [worded(name) for name in heading],
        *(
            [str(row["label"]), *(score(row[name]) for name in heading[1:4]), str(row["support"])]
            for row in each.classes
        ),
    ]


def write_scores(scores: Sequence[CorpusScore], as_json: Path | None, as_html: Path | None) -> None:
    """Write them as JSON, a list, and as HTML that needs nothing else; either where it is asked for.

    Raises:
        DataError: there can be no such file.
    """
    if as_json is not None:
        with writable(as_json):
            write_json(as_json, [each.to_json() for each in scores])
    if as_html is not None:
        with writable(as_html), atomic_write(as_html) as aside:
            aside.write_text(render("score.html.j2", scores=scores, majority=MAJORITY), encoding="utf-8")
