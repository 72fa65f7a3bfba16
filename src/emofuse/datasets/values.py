"""Values of single cells: times, labels and splits, and what is wrong with them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from emofuse.core.text import normal_label

_CLOCK = re.compile(r"(-?)(?:(\d+):)?(\d+):(\d+(?:[.,]\d+)?)")
_PLAIN = re.compile(r"-?\d+(?:[.,]\d+)?(?:e-?\d+)?")
NOTHING = {"", "nan", "null", "n/a"}
SHORTEST, LONGEST = 0.05, 120.0  # seconds of an utterance; outside of it a table's times are taken for a fault
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation"), "dev"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("predict", "unlabelled", "unlabeled"), "predict"),
}


def seconds(text: str) -> float:
    """Seconds of a clock time such as `00:16:16,059`, or of a plain number; NaN where it is neither.

    >>> seconds("00:01:02,500")
    62.5
    >>> seconds("7.25")
    7.25
    """
    text = text.strip().lower()
    if match := _CLOCK.fullmatch(text):
        sign, hours, minutes, rest = match.groups()
        value = int(hours or 0) * 3600 + int(minutes) * 60 + float(rest.replace(",", "."))
        return -value if sign else value
    return float(text.replace(",", ".")) if _PLAIN.fullmatch(text) else math.nan


def times(start: str, end: str) -> tuple[float, float, list[str]]:
    """Start and end in seconds, NaN where they can't be used, and what is wrong with them."""
    values, problems = [], []
    for name, text in (("start", start), ("end", end)):
        value = seconds(text)
        if math.isnan(value) and text.strip().lower() not in NOTHING:
            problems.append(f"{name} time unreadable: {text.strip()!r}")
        if value < 0:
            problems.append(f"{name} time negative: {text.strip()}")
            value = math.nan
        values.append(value)
    length = values[1] - values[0]
    if length < 0:
        problems.append(f"ends {-length:.3f} s before it starts")
    elif length < SHORTEST or length > LONGEST:
        problems.append(f"lasts {length:.3f} s by its times")
    return values[0], values[1], problems


def label(text: str, mapping: Mapping[str, str | None]) -> tuple[str | None, list[str]]:
    """A label in its normal form, merged, renamed or dropped by `mapping`; None and why where there is none."""
    name = normal_label(text)
    if name in NOTHING:
        return None, ["no label"]
    wanted = mapping.get(name, name)
    return (wanted, []) if wanted else (None, [f"label {name!r} dropped by ingest.labels"])


def split(text: str) -> tuple[str, list[str]]:
    """A split by any of its usual names; a row of no known split only gets a prediction."""
    if name := SPLIT_NAMES.get(normal_label(text)):
        return name, []
    return "predict", [f"split unknown: {text.strip()!r}, expected train, dev or test"]
