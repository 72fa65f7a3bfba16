"""The description of a row, and what derives from it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from emofuse.core.errors import DataError
from emofuse.core.records import KEY, SPLITS, Line, Utterance
from emofuse.core.rows import AS_READ, MODEL_COLUMNS, ManifestRow
from emofuse.core.tables import MANIFEST, utterances
from emofuse.datasets.contract import validate

ROW: dict[str, Any] = {
    "split": "train", "dialogue": "7", "utterance": 3, "clip": "a/b.mp4", "clip_sha256": "0" * 64, "text": "Hi!",
    "clean_text": "hi", "speaker": "Ann", "start": 1.5, "end": 2.0, "clock": "film", "position": 1,
    "dialogue_length": 2, "group": "speaker Ann", "label": "joy", "intensity": "strong", "row_id": "u3",
    "source": "t.csv", "row": 4, "issues": ["odd"],
}  # fmt: skip


def test_the_description_is_of_every_column_in_order() -> None:
    assert list(ROW) == MANIFEST.names == list(ManifestRow.model_fields)
    assert ManifestRow.model_validate(ROW).model_dump() == ROW
    assert set(AS_READ) < set(MANIFEST.names)
    assert MANIFEST.names[:3] == KEY
    assert set(MODEL_COLUMNS.values()) < set(MANIFEST.names)


def test_a_line_and_an_utterance_are_described_by_the_row() -> None:
    for field in fields(Line):
        assert field.name in MANIFEST.names
    (utterance,) = utterances(pd.DataFrame([ROW]), "root")
    place = {"duration": 0.5, "position": 1, "dialogue_length": 2}
    assert utterance == Utterance("Hi!", "Ann", 1.5, 2.0, Path("root/a/b.mp4"), sha256="0" * 64, **place)


def test_what_a_table_lacks_is_unknown() -> None:
    assert utterances(pd.DataFrame({"text": ["Hi!", None]}), "root") == [Utterance("Hi!"), Utterance()]
    assert utterances(pd.DataFrame({"clip": ["x.mp4"]}), "s3://data") == [Utterance(url="s3://data/x.mp4")]


BREACHES = [
    ({"split": "holdout"}, "split: found 'holdout'; input should be 'train', 'dev', 'test' or 'predict'"),
    ({"dialogue": ""}, "dialogue: found ''; string should have at least 1 character"),
    ({"clip": "/etc/hostname"}, "clip: found '/etc/hostname'; string should match pattern"),
    ({"clip": "a/../../b.wav"}, "clip: found 'a/../../b.wav'; string should match pattern"),
    ({"clip_sha256": "0"}, "clip_sha256: found '0'; string should match pattern"),
    ({"start": -1.0}, "start: found -1.0; input should be greater than or equal to 0"),
    ({"end": float("inf")}, "end: found inf; input should be a finite number"),
    ({"position": 2}, "value error, position 2 is not inside a dialogue of 2 utterances"),
    ({"position": 0, "dialogue_length": None}, "value error, position 0 is not inside a dialogue of None utterances"),
    ({"label": ""}, "label: found ''; string should have at least 1 character"),
    ({"text": None}, "text: found None; input should be a valid string"),
]


@pytest.mark.parametrize(("change", "problem"), BREACHES)
def test_a_breach_of_the_description_is_named_with_its_row(change: dict[str, Any], problem: str) -> None:
    validate(pd.DataFrame([ROW]))
    with pytest.raises(DataError) as caught:
        validate(pd.DataFrame([ROW | {"split": SPLITS[1]}, ROW | change]))
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"  - {problem}")
    assert lines[1].endswith("(t.csv row 4)")


def test_values_of_another_type_and_keys_that_repeat_are_breaches() -> None:
    with pytest.raises(DataError, match="break the manifest's contract"):
        validate(pd.DataFrame([ROW | {"utterance": "first"}]))
    with pytest.raises(DataError, match="several rows have the same split, dialogue, utterance"):
        validate(pd.DataFrame([ROW, ROW]))


def test_the_manifest_holds_what_it_is_given() -> None:
    table = pa.Table.from_pandas(pd.DataFrame([ROW]), schema=MANIFEST, preserve_index=False)
    assert table.to_pylist() == [ROW]
