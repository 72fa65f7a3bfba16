"""The table that a probe fills: shown, and written as JSON and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from emofuse.core.files import atomic_write, writable, write_json
from emofuse.evaluation.probe.run import SCORES, Probe

HEADINGS = ("features", "classifier", "columns", "ms", *(name.replace("_", " ") for name in SCORES), "against all")
GAIN = "unweighted_recall"  # the score whose gain is shown


def described(probe: Probe, data: str, modality: str, protocol: str) -> dict[str, Any]:
    """All that is told of a probe, as JSON.

    Args:
        probe: the table.
        data: name of the data set.
        modality: whose features they are.
        protocol: how they were fitted and scored, in words.
    """
    return {"data": data, "modality": modality, "protocol": protocol, **asdict(probe)}


def cells(row: Mapping[str, Any]) -> list[str]:
    """One row under `HEADINGS`."""
    scores = [_interval(row["scores"][name]) for name in SCORES]
    gain = row["gains"].get(GAIN)
    cost = "" if row["cost"] is None else f"{row['cost']:.1f}"
    against = "" if gain is None else f"{gain['value']:+.3f} ({gain['low']:+.3f} – {gain['high']:+.3f})"
    return [row["features"], row["classifier"], str(row["columns"]), cost, *scores, against]


def caption(described: Mapping[str, Any]) -> str:
    """What the table is of."""
    absent = f", {described['absent']} without {described['modality']} left out" if described["absent"] else ""
    fitted = f" (fitted on {described['fitted']} others)" if described["fitted"] else ""
    return (
        f"{described['modality']} of {described['data']}: {described['scored']} utterances scored{fitted}{absent}; "
        f"{described['protocol']}. In brackets 95% intervals; ms are processor time an utterance, decoding included; "
        f"the last column is {GAIN.replace('_', ' ')} less that of all groups"
    )


def shown(described: Mapping[str, Any]) -> Table:
    """The table for a terminal."""
    table = Table(title=caption(described), title_justify="left")
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if number < 2 else "right")
    for row in described["rows"]:
        table.add_row(*cells(row))
    return table


def markdown(described: Mapping[str, Any], classifiers: Sequence[str] | None = None) -> str:
    """The table as Markdown, of the given classifiers alone."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|---|---|" + "--:|" * (len(HEADINGS) - 2)]
    for row in described["rows"]:
        if classifiers is None or row["classifier"] in (*classifiers, "majority"):
            lines.append("| " + " | ".join(cells(row)) + " |")
    return f"{caption(described)}.\n\n" + "\n".join(lines) + "\n"


def outputs(path: Path) -> tuple[Path, Path]:
    """The files that `write_probe` writes: `path` with the suffixes `.json` and `.md`."""
    return path.with_suffix(".json"), path.with_suffix(".md")


def write_probe(described: Mapping[str, Any], path: Path) -> None:
    """Write the files of `outputs`.

    Raises:
        DataError: one can't be written.
    """
    as_json, as_markdown = outputs(path)
    with writable(as_json):
        write_json(as_json, described)
    with writable(as_markdown), atomic_write(as_markdown) as aside:
        aside.write_text(markdown(described), encoding="utf-8")


def _interval(score: Mapping[str, float]) -> str:
    return f"{score['value']:.3f} ({score['low']:.3f} – {score['high']:.3f})"
