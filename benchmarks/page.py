"""The page that shows the figures, and parts of other pages that show some."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results.json")
PAGE = Path("docs/benchmarks.md")
HEAD = """# What extraction and evaluation cost

Made by `make bench` from `benchmarks/results.json`. Where no unit is named, a figure is a ratio of times taken in one
run on one machine. A figure that misses what is wanted stands as it was measured. Real media: `make bench
BENCH="--media FOLDER --texts CSV"`. What ways of training bring is in [models.md](models.md), what the service bears in
[service.md](service.md).
"""
TITLES = {
    "media": "Media, one thread",
    "text": "Text",
    "numerics": "Numerics: what pinned rounding costs",
    "runs": "Whole extractions",
    "memory": "Memory",
    "evaluation": "Evaluation, in seconds",
    "gpu": "A GPU, in native numerics (`python -m benchmarks.gpu`)",
}


def shown(value: float) -> str:
    """A figure with three digits that count."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def page(results: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for name in (name for name in TITLES if name in results):
        part = results[name]
        parts.append(f"## {TITLES[name]}\n\nOn {part['on']}, {part['cores']} cores.\n")
        rows = [f"| {r['name']} | {shown(r['value'])} | {r['wanted']} | {r['detail']} |" for r in part["figures"]]
        parts.append("\n".join(["| | measured | wanted | made of |", "|---|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def filled(page: str, name: str, content: str) -> str:
    """A page with what stands between a part's marks replaced."""
    marks = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(marks, lambda match: f"{match[1]}{content}\n{match[2]}", page, flags=re.DOTALL)


def write_page(results: Mapping[str, Any]) -> None:
    """Write the page."""
    PAGE.write_text(page(results), encoding="utf-8")
