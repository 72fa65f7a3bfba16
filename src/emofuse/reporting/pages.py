"""How figures are written in pages and tables, and how a page is made from its template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from emofuse.core.metrics import worded


def render(template: str, folder: Path = Path(__file__).parent, **content: Any) -> str:
    """Fill a template of a folder, this one unless given; what stands in HTML and SVG is escaped."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=template.endswith((".html.j2", ".svg.j2")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"score": score, "signed": signed, "spread": spread, "points": points, "worded": worded}
    return environment.get_template(template).render(**content)


def score(value: float | None) -> str:
    """A score, to three places."""
    return "" if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """A difference, to three places."""
    return "" if value is None else f"{value:+.3f}".replace("-", "−") if value else "0.000"


def spread(estimate: Mapping[str, Any], difference: bool = False) -> str:
    """An interval in words."""
    if estimate["low"] is None:
        return "no interval"
    show = signed if difference else score
    return f"{show(estimate['low'])} to {show(estimate['high'])}"


def points(xs: Sequence[float], ys: Sequence[float], x_range: tuple[float, float], y_range: tuple[float, float]) -> str:
    """Points of a line in a drawing of 100 by 100, as SVG wants them."""
    wide, high = x_range[1] - x_range[0] or 1, y_range[1] - y_range[0] or 1
    return " ".join(
        f"{100 * (x - x_range[0]) / wide:.2f},{100 - 100 * (y - y_range[0]) / high:.2f}"
        for x, y in zip(xs, ys, strict=True)
    )
