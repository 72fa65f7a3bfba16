from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.datasets.values import label, seconds, split, times


@pytest.mark.parametrize(
    ("text", "value"),
    [("00:16:16,059", 976.059), ("01:02.5", 62.5), ("7.25", 7.25), ("3,5", 3.5), ("-2", -2.0), ("-00:00:01,5", -1.5)],
)
def test_times_are_seconds(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)


@given(st.text())
def test_any_other_text_is_no_time(text: str) -> None:
    assert isinstance(seconds(text), float)
    assert math.isnan(seconds(f"soon {text}"))


@pytest.mark.parametrize(
    ("start", "end", "problem"),
    [
        ("soon", "2", "start time unreadable: 'soon'"),
        ("-1", "2", "start time negative: -1"),
        ("3", "2", "ends 1.000 s before it starts"),
        ("2", "2", "lasts 0.000 s by its times"),
        ("00:00:01,000", "00:05:05,900", "lasts 304.900 s by its times"),
    ],
)
def test_times_that_cannot_be_are_named(start: str, end: str, problem: str) -> None:
    assert times(start, end)[2] == [problem]


@pytest.mark.parametrize(("start", "end"), [("1", "2.5"), ("", ""), ("", "nan"), ("1", "")])
def test_times_that_are_fine_or_missing_are_no_fault(start: str, end: str) -> None:
    assert times(start, end)[2] == []


def test_labels_are_merged_renamed_and_dropped() -> None:
    mapping = {"frustrated": "anger", "other": None}
    assert label(" Frustrated ", mapping) == ("anger", [])
    assert label("FREUDE", mapping) == ("freude", [])
    assert label("喜び", mapping) == ("喜び", [])
    assert label("other", mapping) == (None, ["label 'other' dropped by ingest.labels"])
    assert label("NaN", mapping) == (None, ["no label"])


def test_splits_have_several_names() -> None:
    assert split("Validation") == ("dev", [])
    assert split("trian") == ("predict", ["split unknown: 'trian', expected train, dev or test"])
