from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emofuse.core.errors import DataError
from emofuse.core.params import Params
from emofuse.core.records import MODALITIES, FeatureTable
from emofuse.datasets.contract import validate
from emofuse.datasets.data_findings import data_findings, headline
from emofuse.datasets.manifest import build_manifest
from emofuse.reporting.data_report import write_page
from tests.conftest import SEED, ingest

FOLDS = 5


def presence(manifest: pd.DataFrame, reasons: dict[int, str]) -> dict[str, FeatureTable]:
    """Features of one column that are present but for the rows with a reason."""
    said = tuple(reasons.get(row, "") for row in range(len(manifest)))
    present = np.array([not reason for reason in said])
    table = FeatureTable(("a",), np.ones((len(manifest), 1), np.float32), present, said)
    return dict.fromkeys(MODALITIES, table)


@pytest.fixture
def manifest(params: Params, tmp_path: Path) -> pd.DataFrame:
    rows = [
        *[("train", f"d{n}", f"line {n}", "Ada", "joy" if n % 2 else "anger", n, n + 1) for n in range(12)],
        ("train", "d3", "Hm.", "Ben", "fear", 100.5, 101.5),
        ("train", "d4", "hm", "Ben", "joy", 200.5, 201.5),
        ("test", "d4", "HM!", "Ben", "joy", 300.5, 301.5),
        ("dev", "d90", "else", "Ben", "awe", 100.5, 101.5),
        ("train", "d91", "late", "Cy", "joy", 9, 8),
    ]
    frame = pd.DataFrame(rows, columns=["part", "scene", "say", "who", "label", "t0", "t1"])
    frame.to_csv(tmp_path / "table.csv", index=False)
    table = {"text": "say", "speaker": "who", "dialogue": "scene", "start": "t0", "end": "t1", "split": "part"}
    return build_manifest(ingest(params, tmp_path, "table", table=table), SEED)[0]


@pytest.fixture
def found(manifest: pd.DataFrame) -> dict[str, Any]:
    return data_findings(manifest, presence(manifest, {0: "no text"}), ["a note"], "table", "mine", FOLDS)


def test_duplicates_leaks_and_conflicts_are_named(found: dict[str, Any]) -> None:
    same = found["duplicates"]["same text and speaker"]
    assert (same["rows"], same["conflicting"], same["leaking_rows"]) == (3, 1, 2)
    (group,) = same["groups"]
    assert group["conflicting_labels"] == ["fear", "joy"]
    assert group["across"] == ["test", "train"]
    assert [(row["split"], row["row"]) for row in group["rows"]] == [("train", 13), ("train", 14), ("test", 15)]
    # Each dialogue has a clock of its own.
    assert found["duplicates"]["same time span and speaker"]["rows"] == 0


MELD = "Sr No.,Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID,StartTime,EndTime"


def spans_of(params: Params, root: Path, row: Callable[[int], str], more: str = "") -> tuple[int, int]:
    """Rows of one span and those of them that leak, by the times of MELD's three tables of twelve rows each."""
    for part, split in enumerate(("train", "dev", "test")):
        rows = [f"{n},line {part} {n},Ann,{('joy', 'anger')[n % 2]},{n // 4},{n % 4}," for n in range(12)]
        cells = [start + row(n if split == "train" else n + 1) for n, start in enumerate(rows)]
        (root / f"{split}_sent_emo.csv").write_text("\n".join([MELD + more, *cells, ""]))
    manifest = build_manifest(ingest(params, root, "meld"), SEED)[0]
    found = data_findings(manifest, presence(manifest, {"faces": [], "no_face": []}), [], "meld", "mine", FOLDS)
    spans = found["duplicates"]["same time span and speaker"]
    return spans["rows"], spans["leaking_rows"]


def test_times_are_compared_within_an_episode(params: Params, tmp_path: Path) -> None:
    season = ",Season,Episode"
    assert spans_of(params, tmp_path, lambda n: f"{n},{n + 0.5},1,1", season) == (35, 11)
    assert spans_of(params, tmp_path, lambda n: f"{n},{n + 0.5},1,{n}", season) == (35, 11)
    assert spans_of(params, tmp_path, lambda n: f"{n % 4},{n % 4 + 0.5},{n},2", season) == (35, 11)
    assert spans_of(params, tmp_path, lambda n: f"{n},{n + 0.5},,", season) == (0, 0)
    assert spans_of(params, tmp_path, lambda n: f"{n},{n + 0.5}") == (0, 0)


@pytest.mark.parametrize("length", ["0,2", "0,{0}.5", "00:00:00.100,00:00:01.900", "0.{0},3"])
def test_times_that_start_anew_with_every_clip_are_no_leaks(params: Params, tmp_path: Path, length: str) -> None:
    assert spans_of(params, tmp_path, lambda n: f"{length.format(n % 4)},1,1", ",Season,Episode") == (0, 0)
    assert spans_of(params, tmp_path, lambda n: length.format(n % 4)) == (0, 0)
    kept = build_manifest(ingest(params, tmp_path, "meld", drop_leaks=["text", "clip", "time"]), SEED)[0]
    assert kept["label"].notna().all()


def test_rows_without_a_dialogue_have_a_clock_each(params: Params, tmp_path: Path) -> None:
    parts = [(part, n) for part in ("train", "dev", "test") for n in range(6)]
    rows = [(part, f"line {n} {part}", ("joy", "fear")[n % 2], 1, 3) for part, n in parts]
    pd.DataFrame(rows, columns=["part", "say", "label", "t0", "t1"]).assign(who="Ann").to_csv(tmp_path / "table.csv")
    table = {"text": "say", "speaker": "who", "start": "t0", "end": "t1", "split": "part"}
    kept = build_manifest(ingest(params, tmp_path, "table", table=table, drop_leaks=["text", "clip", "time"]), SEED)[0]
    assert kept["label"].notna().all()


def test_classes_and_dialogues_that_make_trouble_are_named(found: dict[str, Any]) -> None:
    assert found["small_classes"] == {"fear": 1}
    assert found["unseen_labels"] == {"awe": 1}
    assert found["shared_dialogues"] == {"ids": 1, "in_one_table": ["d4"]}


def test_what_a_user_should_act_on_is_a_warning(found: dict[str, Any]) -> None:
    told = "\n".join(found["warnings"])
    for part in ("2 training rows are the same as a dev or test row", "class 'fear' has 1 training rows",
                 "class 'awe' stands in 1 dev or test rows", "such as d4", "1 of 17 rows have faults"):  # fmt: skip
        assert part in told


def test_absent_modalities_are_counted_by_reason(found: dict[str, Any]) -> None:
    assert found["modalities"]["train"]["visual"] == {"present": 14, "absent": {"no text": 1}}
    assert headline(found)["data/present_audio"] == 16


def test_a_clip_that_cannot_be_used_is_a_fault_and_a_missing_face_is_none(params: Params, corpus: Path) -> None:
    manifest, notes = build_manifest(ingest(params, corpus, "demo"), SEED)
    sound = manifest.index[manifest["clip"].notna()]
    tables = presence(manifest, {sound[0]: "can't be decoded: End of file", sound[1]: "no face found"})
    found = data_findings(manifest, tables, notes, "demo", "corpus", FOLDS)
    broken = [fault["issues"] for fault in found["faults"] if "can't be decoded" in str(fault["issues"])]
    assert broken == [["text and audio and visual and metadata: can't be decoded: End of file"]]
    assert "no face found" not in str(found["faults"])


def test_the_report_is_a_page_of_its_own(manifest: pd.DataFrame, found: dict[str, Any], tmp_path: Path) -> None:
    manifest.loc[0, "speaker"] = "<script>alert(1)</script>"
    found = data_findings(
        manifest, presence(manifest, {"faces": [], "no_face": []}), ["<b>note</b>"], "table", "mine", FOLDS
    )
    write_page(tmp_path / "a.html", found, manifest, {"faces": [], "no_face": []})
    page = (tmp_path / "a.html").read_text()
    assert "&lt;b&gt;note" in page
    assert "<script" not in page
    assert "http" not in page
    assert page.count("data:image/png;base64,") == 3
    write_page(tmp_path / "b.html", found, manifest, {"faces": [], "no_face": []})
    assert (tmp_path / "b.html").read_bytes() == (tmp_path / "a.html").read_bytes()


def test_the_page_shows_words_of_which_the_recogniser_is_least_sure(
    manifest: pd.DataFrame, found: dict[str, Any], tmp_path: Path
) -> None:
    write_page(tmp_path / "a.html", found, manifest, {"faces": [], "no_face": []})
    assert "Words that were heard" not in (tmp_path / "a.html").read_text()
    least = [{"split": "dev", "dialogue": "d90", "utterance": 4, "text": "<i>won", "confidence": 0.25}]
    heard = {"recogniser": "embedded", "rows": 3, "corrected": 1, "confidence": 0.375, "least_sure": least}
    page_of = found | {"heard": heard | {"no_words": {"no speech in the sound": 2}}}
    write_page(tmp_path / "b.html", page_of, manifest, {"faces": [], "no_face": []})
    page = (tmp_path / "b.html").read_text()
    assert "3 rows have words that nobody gave with them: 2 as embedded heard them" in page
    assert "mean confidence of 0.375" in page and "No words in 2: no speech in the sound." in page
    assert '<td>dev d90/4</td><td>&lt;i&gt;won</td><td class="n">0.250</td>' in page


def test_findings_are_json(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found)) == found


def test_a_breach_of_the_contract_names_all_at_once(manifest: pd.DataFrame) -> None:
    broken = manifest.copy()
    broken.loc[0, "split"] = "holdout"
    broken.loc[1, "clip"] = "../secret.wav"
    broken.loc[2, "start"] = -1.0
    with pytest.raises(DataError, match=r"split: found 'holdout'[\s\S]*clip: found '\.\./secret[\s\S]*start: found -1"):
        validate(broken)
