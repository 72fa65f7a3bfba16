"""What must not stand on both sides: of a split, of a fold, of a draw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from emofuse.core.apart import group_kind
from emofuse.core.errors import DataError
from emofuse.core.params import Apart, Params, ShareParams
from emofuse.core.records import MODALITIES, FeatureTable
from emofuse.datasets.data_findings import data_findings, headline
from emofuse.datasets.groups import group_rows
from emofuse.datasets.manifest import build_manifest, refuse_unfoldable
from emofuse.datasets.splits import cut
from emofuse.evaluation.measured import Measured
from emofuse.reporting.data_report import write_page
from emofuse.training.folds import Origins, member_folds
from tests.conftest import SEED, ingest

ROWS = 90
MOODS = ("joy", "anger", "fear")
ASKED: dict[tuple[bool, bool], tuple[Apart, ...]] = {
    (True, True): ("auto", "dialogue", "speaker", "both"),
    (True, False): ("auto", "dialogue"),
    (False, True): ("auto", "speaker"),
    (False, False): ("auto",),
}


def random_rows(rng: np.random.Generator, dialogues: bool, speakers: bool) -> pd.DataFrame:
    """Rows as `build_manifest` has them before it cuts; some lack a dialogue or a speaker where others have one."""
    number = np.arange(ROWS)
    frame = pd.DataFrame({"split": "train", "source": "t.csv", "row": number + 1, "label": rng.choice(MOODS, ROWS)})
    frame["alone"] = rng.random(ROWS) < 0.1 if dialogues else True
    frame["dialogue"] = pd.Series(rng.integers(0, 25, ROWS).astype(str)).where(
        ~frame["alone"], "t.csv:" + frame["row"].astype(str)
    )
    frame["speaker"] = (
        pd.Series(rng.integers(0, 25, ROWS).astype(str)).where(rng.random(ROWS) < 0.9, "") if speakers else ""
    )
    return frame


def crossing(frame: pd.DataFrame, apart: Apart, one: Sequence[int], other: Sequence[int]) -> set[str]:
    """The dialogues and speakers, as far as they are to be kept apart, that stand on both sides."""
    shared: set[str] = set()
    if apart in ("dialogue", "both") or (apart == "auto" and not frame["alone"].all()):
        shared |= set(frame["dialogue"].iloc[one]) & set(frame["dialogue"].iloc[other])
    if apart in ("speaker", "both") or (apart == "auto" and frame["alone"].all()):
        shared |= (set(frame["speaker"].iloc[one]) & set(frame["speaker"].iloc[other])) - {""}
    return shared


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much])
@given(seed=st.integers(0, 10**6), dialogues=st.booleans(), speakers=st.booleans(), choice=st.integers(0, 3))
def test_nobody_stands_on_both_sides_of_a_split_or_a_fold(
    seed: int, dialogues: bool, speakers: bool, choice: int
) -> None:
    rng = np.random.default_rng(seed)
    asked = ASKED[dialogues, speakers]
    apart = asked[choice % len(asked)]
    frame = random_rows(rng, dialogues, speakers)
    if apart == "both":  # else all are linked, and nothing can be cut
        frame["speaker"] = frame["speaker"].where(
            frame["speaker"] == "", frame["dialogue"].str[-1] + rng.choice(["a", "b"], ROWS)
        )
    frame["group"], _ = group_rows(frame, apart)
    frame["split"], _ = cut(frame, ShareParams(dev=0.15, test=0.15), seed)
    sides = {split: np.flatnonzero(frame["split"] == split) for split in ("train", "dev", "test")}
    assert all(map(len, sides.values()))
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not crossing(frame, apart, sides[one], sides[other])
    train = frame.iloc[sides["train"]].reset_index(drop=True)
    assume(train["group"].nunique() >= 3)
    held: list[int] = []
    for fit, out in member_folds(pd.factorize(train["label"])[0], Origins.of(train), 3, seed):
        assert not crossing(train, apart, fit, out)
        held.extend(out)
    assert sorted(held) == list(range(len(train)))


@pytest.mark.parametrize(("groups", "labelled"), [(10, 4), (20, 8), (40, 10)])
@pytest.mark.parametrize("seed", range(3))
def test_splits_are_cut_from_groups_that_have_labels(groups: int, labelled: int, seed: int) -> None:
    frame = pd.DataFrame({"group": [f"dialogue {n // 6}" for n in range(6 * groups)], "split": "train"})
    moods = pd.Series(["joy", "fear"] * (3 * groups), dtype=object)
    frame["label"] = moods.where(frame.index < 6 * labelled, None)
    frame["split"], _ = cut(frame, ShareParams(dev=0.2, test=0.2), seed)
    assert frame.groupby("split")["label"].count().between(6, 6 * labelled - 12).all()
    assert (frame.loc[frame["label"].isna(), "split"] == "train").all()


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6))
def test_a_speaker_who_is_left_out_is_not_met_even_through_a_dialogue(seed: int) -> None:
    frame = random_rows(np.random.default_rng(seed), True, True)
    frame = frame[frame["speaker"] != ""].reset_index(drop=True)
    frame["group"], _ = group_rows(frame, "dialogue")
    folds = list(member_folds(pd.factorize(frame["label"])[0], Origins.of(frame), "speaker", seed))
    assert len(folds) == frame["speaker"].nunique()
    for fit, out in folds:
        assert frame["speaker"].iloc[out].nunique() == 1
        assert not crossing(frame, "both", fit, out)
    assert sorted(row for _, out in folds for row in out) == list(range(len(frame)))


def rows_of(dialogues: Sequence[str], speakers: Sequence[str]) -> pd.DataFrame:
    count = max(len(dialogues), len(speakers))
    frame = pd.DataFrame({"split": "train", "source": "t", "row": range(count), "alone": not dialogues})
    frame["dialogue"] = list(dialogues) or [f"t:{row}" for row in range(count)]
    frame["speaker"] = list(speakers) or ""
    return frame


def test_auto_takes_dialogues_then_speakers_then_rows_and_says_which() -> None:
    # Ada and Ben of one dialogue need not be those of another.
    groups, note = group_rows(rows_of(["1", "1", "2", "2"], ["A", "B", "A", "B"]), "auto")
    assert groups.tolist() == ["dialogue train/1"] * 2 + ["dialogue train/2"] * 2
    assert note == "kept apart in splits and folds: dialogues (ingest.apart: auto)"
    groups, note = group_rows(rows_of([], ["A", "B", "", "A"]), "auto")
    assert groups.tolist() == ["speaker A", "speaker B", "row t:2", "speaker A"]
    assert note.startswith("kept apart in splits and folds: speakers") and "1 rows have none and stand alone" in note
    assert group_kind(group_rows(rows_of([], ["", ""]), "auto")[0]) == "row"


def test_both_keeps_together_whatever_is_linked_through_dialogues_and_speakers() -> None:
    frame = rows_of(["1", "1", "2", "3", "4"], ["A", "B", "B", "C", ""])
    assert group_rows(frame, "both")[0].tolist() == ["both 1", "both 1", "both 1", "both 2", "both 3"]
    frame["group"], frame["label"] = "both 1", "joy"
    with pytest.raises(DataError, match=r"in 1 sets of dialogues and speakers.* set ingest.apart to row"):
        cut(frame, ShareParams(dev=0.2, test=0.2), 1)


@pytest.mark.parametrize("apart", ["dialogue", "both"])
def test_what_no_row_has_cannot_be_kept_apart(apart: Apart) -> None:
    with pytest.raises(DataError, match=rf"ingest.apart is {apart}, but no row has a dialogue; name the column"):
        group_rows(rows_of([], ["A", "B"]), apart)


def speakers_table(root: Path, split: bool) -> dict[str, str]:
    """Eight speakers who say twelve lines each; `split` puts each on all sides."""
    parts = ["train"] * 8 + ["dev", "dev", "test", "test"]
    rows = [(f"line {s} {n}", MOODS[n % 3], f"actor{s}", parts[n]) for s in range(8) for n in range(12)]
    pd.DataFrame(rows, columns=["say", "mood", "who", "part"]).to_csv(root / "table.csv", index=False)
    return {"text": "say", "label": "mood", "speaker": "who"} | ({"split": "part"} if split else {})


def findings_of(manifest: pd.DataFrame, notes: list[str]) -> dict[str, object]:
    present = np.ones(len(manifest), bool)
    table = FeatureTable(("a",), np.ones((len(manifest), 1), np.float32), present, ("",) * len(manifest))
    return data_findings(manifest, dict.fromkeys(MODALITIES, table), notes, "table", "mine", 5)


def test_a_table_with_speakers_and_no_dialogues_is_cut_by_speaker(params: Params, tmp_path: Path) -> None:
    manifest, notes = build_manifest(ingest(params, tmp_path, "table", table=speakers_table(tmp_path, False)), SEED)
    assert "no test split in the data: cut from the training rows by speaker" in notes
    assert manifest.groupby("speaker")["split"].nunique().tolist() == [1] * 8
    refuse_unfoldable(manifest, "speaker", tmp_path)
    found = findings_of(manifest, notes)["apart"]
    assert found["headline"] == "0 of 1 test speakers are in train." and not found["leaks"]  # type: ignore[index]


@pytest.mark.parametrize("apart", ["auto", "speaker"])
def test_a_split_that_the_data_brings_is_kept_and_who_is_on_both_sides_is_a_headline(
    params: Params, tmp_path: Path, apart: Apart
) -> None:
    asked = ingest(params, tmp_path, "table", table=speakers_table(tmp_path, True), apart=apart)
    manifest, notes = build_manifest(asked, SEED)
    assert manifest["split"].value_counts().to_dict() == {"train": 64, "dev": 16, "test": 16}
    report = findings_of(manifest, notes)
    sentence = "8 of 8 test speakers are in train; they say 100% of its rows."
    assert report["apart"]["headline"].startswith(sentence)  # type: ignore[index]
    assert any("8 groups of test are in train too, by speaker" in each for each in report["warnings"])  # type: ignore[attr-defined]
    assert headline(report)["data/test_speakers_in_train"] == 8
    write_page(tmp_path / "data.html", report, manifest, {"faces": [], "no_face": []})
    assert f'<p class="warning">{sentence}' in (tmp_path / "data.html").read_text()


def test_leaving_one_speaker_out_needs_a_speaker_in_each_row(params: Params, tmp_path: Path) -> None:
    table = speakers_table(tmp_path, False)
    del table["speaker"]
    manifest, _ = build_manifest(ingest(params, tmp_path, "table", table=table), SEED)
    with pytest.raises(DataError, match=r"has 0 speakers and .* labelled rows without one"):
        refuse_unfoldable(manifest, "speaker", tmp_path)


def test_intervals_draw_what_was_kept_apart() -> None:
    rows = pd.DataFrame({"split": "test", "dialogue": [str(n) for n in range(12)], "label": ["joy", "fear"] * 6})
    sure = {"early": np.eye(2)[[1, 0] * 6]}
    measured = Measured(rows, ("fear", "joy"), sure, 100, 1)
    assert (measured.bootstrap.groups, measured.drawn) == (12, "dialogues")
    grouped = Measured(rows.assign(group=[f"speaker {n % 3}" for n in range(12)]), ("fear", "joy"), sure, 100, 1)
    assert (grouped.bootstrap.groups, grouped.drawn) == (3, "speakers")
