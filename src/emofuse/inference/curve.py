"""The emotions of a film over time as a picture: a line a class, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

LEFT, TOP, WIDE, HIGH = 46, 14, 760, 240  # of the field, in pixels
LEGEND = 130  # to the right of it
# Those of the service's page, in the order of the classes.
COLOURS = ("#c0392b", "#7d8c2f", "#7b4fb5", "#d99a00", "#8a93a3", "#2f6fc9", "#d1568f", "#1f9a8a", "#a0643a")
STYLE = (
    "text { fill: #1c2430; } .grid { stroke: #d5dae2; } "
    "@media (prefers-color-scheme: dark) { text { fill: #e4e8ee; } .grid { stroke: #39424f; } }"
)


def curve_svg(answers: Sequence[Mapping[str, Any]]) -> str:
    """Draw each class's probability over time, through the middles of the windows.

    Args:
        answers: as `inference.offline` gives them, in the order of time; none gives an empty field.

    Returns:
        SVG that is readable on light and dark pages; classes stand beside it by their mean, the greatest first.
    """
    size = {"width": LEFT + WIDE + LEGEND, "height": TOP + HIGH + 26}
    picture = Element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {size['width']} {size['height']}"}
    )
    picture.attrib |= {"width": str(size["width"]), "font-family": "system-ui, sans-serif", "font-size": "13"}
    SubElement(picture, "style").text = STYLE
    end = max((float(answer["end"]) for answer in answers), default=0.0) or 1.0
    _axes(picture, end)
    shares = {
        label: [float(answer["probabilities"][label]) for answer in answers]
        for label in (answers[0]["probabilities"] if answers else ())
    }
    colours = {label: COLOURS[number % len(COLOURS)] for number, label in enumerate(shares)}
    middles = [LEFT + WIDE * (float(answer["start"]) + float(answer["end"])) / 2 / end for answer in answers]
    for rank, label in enumerate(sorted(shares, key=lambda label: -sum(shares[label]))):
        points = [(x, TOP + HIGH * (1 - share)) for x, share in zip(middles, shares[label], strict=True)]
        line = {"fill": "none", "stroke": colours[label], "stroke-width": "2", "stroke-linejoin": "round"}
        SubElement(picture, "polyline", line | {"points": " ".join(f"{x:.1f},{y:.1f}" for x, y in points)})
        for x, y in points:
            SubElement(picture, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "2.5", "fill": colours[label]})
        place = LEFT + WIDE + 14, TOP + 12 + 20 * rank
        SubElement(picture, "circle", {"cx": str(place[0]), "cy": str(place[1] - 4), "r": "5", "fill": colours[label]})
        _write(picture, place[0] + 11, place[1], f"{label} {sum(shares[label]) / len(points):.0%}")
    return tostring(picture, encoding="unicode") + "\n"


def _axes(picture: Element, end: float) -> None:
    for quarter in range(5):
        x, y = LEFT + WIDE * quarter / 4, TOP + HIGH * (1 - quarter / 4)
        edges = {"x1": str(LEFT), "x2": str(LEFT + WIDE), "y1": f"{y:.1f}", "y2": f"{y:.1f}"}
        SubElement(picture, "line", {"class": "grid", **edges})
        _write(picture, LEFT - 8, y + 4, f"{quarter / 4:.0%}", "end")
        _write(picture, x, TOP + HIGH + 20, _clock(end * quarter / 4, end), "middle")


def _clock(seconds: float, end: float) -> str:
    if end < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _write(picture: Element, x: float, y: float, words: str, anchor: str = "start") -> None:
    SubElement(picture, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}).text = words
