from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from emofuse.core.errors import DataError
from emofuse.core.files import atomic_write, read_json
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import CONTEXT_LINES, Extracted, FeatureTable, Line, Utterance
from emofuse.core.tables import read_features, utterances, write_csv, write_features

KEYS = pd.DataFrame({"split": ["train", "dev"], "dialogue": ["0", "0"], "utterance": [0, 3]})
NAMES = ["a", "b"]
ROWS = [Extracted(np.array([1, np.nan], np.float32)), Extracted(None, Cause(Reason.NO_SOUND))]
TABLE = FeatureTable.stack(NAMES, ROWS)


def test_features_survive_a_round_trip(tmp_path: Path) -> None:
    write_features(tmp_path / "audio.parquet", KEYS, NAMES, ROWS)
    back = read_features("audio", KEYS, tmp_path)
    assert back.names == ("a", "b")
    assert back.present.tolist() == [True, False]
    assert back.reasons == ("", "no sound track")
    np.testing.assert_array_equal(back.values, TABLE.values)


def test_features_have_the_contracts_columns(tmp_path: Path) -> None:
    write_features(tmp_path / "audio.parquet", KEYS, NAMES, ROWS)
    schema = pq.read_schema(tmp_path / "audio.parquet")
    assert schema.names == ["split", "dialogue", "utterance", "present", "reason", "a", "b"]
    assert str(schema.field("a").type) == "float"


def test_features_of_other_rows_are_refused(tmp_path: Path) -> None:
    write_features(tmp_path / "audio.parquet", KEYS, NAMES, ROWS)
    with pytest.raises(DataError, match="its rows are not the manifest's"):
        read_features("audio", KEYS.assign(utterance=[0, 4]), tmp_path)


def test_broken_parquet_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "audio.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="expected a Parquet table"):
        read_features("audio", KEYS, tmp_path)


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk full"), atomic_write(path) as aside:
        aside.write_text("half")
        raise RuntimeError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_csv_has_the_same_bytes_on_every_system(tmp_path: Path) -> None:
    write_csv(tmp_path / "new" / "table.csv", pd.DataFrame({"label": ["joy", "é"], "f1": [0.5, None]}))
    assert (tmp_path / "new" / "table.csv").read_bytes() == "label,f1\njoy,0.5\né,\n".encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["table.csv"]


def test_missing_json_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run `dvc repro`"):
        read_json(tmp_path / "metrics.json")


def test_the_context_of_a_row_is_what_was_said_before_it_in_its_dialogue() -> None:
    rows = [("a", 1, "b"), ("b", 0, "x"), ("a", 0, "a"), ("a", 2, "c"), ("z", None, "alone")]
    manifest = pd.DataFrame(
        [
            {"split": "train", "dialogue": dialogue, "position": position, "text": text, "clean_text": text}
            | {"speaker": None, "start": math.nan, "end": 1.0, "clip": None, "dialogue_length": None, "issues": []}
            for dialogue, position, text in rows
        ]
    )
    said = [[line.text for line in utterance.context] for utterance in utterances(manifest, ".")]
    assert said == [["a"], [], [], ["a", "b"], []]
    assert utterances(manifest, ".")[3].context[0] == Line("a", None, None, 1.0)


def test_a_long_dialogue_gives_the_lines_that_count() -> None:
    count = CONTEXT_LINES + 5
    manifest = pd.DataFrame(
        {"split": "train", "dialogue": "a", "position": range(count), "text": "said", "clean_text": "said"}
        | {"speaker": "Ann", "start": range(count), "end": range(1, count + 1), "clip": None}
        | {"dialogue_length": count, "issues": [[]] * count}
    )
    last = utterances(manifest, ".")[-1]
    assert len(last.context) == CONTEXT_LINES
    assert last.context[-1].end == last.start


def test_an_utterance_keeps_the_lines_that_count_and_no_speaker_without_a_name() -> None:
    lines = tuple(Line(str(number), "") for number in range(CONTEXT_LINES + 3))
    utterance = Utterance("Oh, NO!", "", context=lines)
    assert utterance.context == lines[3:]
    assert (utterance.speaker, lines[0].speaker) == (None, None)
    assert utterance.clean_text == "oh no"
    assert TypeAdapter(Utterance).validate_json(TypeAdapter(Utterance).dump_json(utterance)) == utterance


@pytest.mark.parametrize(
    ("one", "other"), [("Zo\u00eb", "Zoe\u0308 "), ("Ann Lee", "Ann\u00a0 Lee"), ("Ann", "\u200bAnn")]
)
def test_a_speaker_is_one_whoever_spells_the_name(one: str, other: str) -> None:
    assert Line("hi", other) == Line("hi", one)
    assert Utterance("hi", other).speaker == one


def test_times_of_several_clocks_are_not_brought_together() -> None:
    clocks = ["film", "film", "sequel", "film"]
    rows = {
        "split": "train",
        "dialogue": "a",
        "position": range(4),
        "dialogue_length": 4,
        "text": "hi",
        "clock": clocks,
    }
    manifest = pd.DataFrame(rows | {"start": [1.0, 3.0, 0.0, 5.0], "end": [2.0, 4.0, 1.5, 6.0]})
    given = utterances(manifest, ".")
    assert [utterance.start for utterance in given] == [1.0, 3.0, None, 5.0]
    assert [line.end for line in given[3].context] == [2.0, 4.0, None]
    assert [utterance.duration for utterance in given] == [1.0, 1.0, 1.5, 1.0]
    apart = utterances(manifest.assign(clock=["1", "2", "3", "4"]), ".")
    assert [utterance.start for utterance in apart] == [None] * 4
    (single,) = utterances(manifest[:1], ".")
    assert single.start == 1.0
