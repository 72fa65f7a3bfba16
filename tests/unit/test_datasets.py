from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emofuse.core.errors import DataError
from emofuse.core.params import Params
from emofuse.core.records import KEY
from emofuse.core.tables import MANIFEST
from emofuse.core.text import clean_text
from emofuse.datasets.manifest import build_manifest
from tests.conftest import SEED, ingest


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Oh my God, he’s lost it. He’s totally lost it.", "oh my god he's lost it he's totally lost it"),
        ("Hey!!! What?!", "hey what"),
        ("'quoted' — and_more", "quoted and more"),
        ("Ça va, Zoë? 42%", "ça va zoë 42"),
        ("?!...", ""),
    ],
)
def test_cleaning(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


@given(st.text())
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


def test_built_in_corpus_keeps_every_row(params: Params, corpus: Path) -> None:
    manifest = build_manifest(ingest(params, corpus, "demo"), SEED)[0]
    rows = sum(len(pd.read_csv(corpus / f"{split}_sent_emo.csv")) for split in ("train", "dev", "test"))
    assert len(manifest) == rows
    assert list(manifest.columns) == MANIFEST.names
    assert not manifest.duplicated(KEY).any()


def test_position_counts_from_zero_within_a_dialogue(params: Params, corpus: Path) -> None:
    manifest = build_manifest(ingest(params, corpus, "demo"), SEED)[0]
    for _, dialogue in manifest.groupby(["split", "dialogue"]):
        assert dialogue["position"].tolist() == list(range(len(dialogue)))
        assert (dialogue["dialogue_length"] == len(dialogue)).all()


def test_missing_clip_is_a_value_in_its_row(params: Params, corpus: Path, meld_copy: Path) -> None:
    clip = next((meld_copy / "train_splits").glob("*.mp4"))
    clip.unlink()
    manifest = build_manifest(ingest(params, meld_copy, "meld"), SEED)[0]
    row = manifest[manifest["issues"].map(lambda issues: any(clip.name in issue for issue in issues))]
    assert len(row) == 1
    assert row["clip"].isna().all()
    assert len(manifest) == len(build_manifest(ingest(params, corpus, "demo"), SEED)[0])


def test_missing_column_names_file_found_and_expected(params: Params, meld_copy: Path) -> None:
    path = meld_copy / "dev_sent_emo.csv"
    pd.read_csv(path).drop(columns="Speaker").to_csv(path, index=False)
    with pytest.raises(DataError, match=r"dev_sent_emo\.csv: missing columns Speaker; found .*Utterance.*; expected"):
        build_manifest(ingest(params, meld_copy, "meld"), SEED)[0]


def test_missing_root_names_the_param(params: Params, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder; set ingest\.root"):
        build_manifest(ingest(params, tmp_path / "nowhere", "meld"), SEED)[0]


def test_unreadable_csv_is_a_message(params: Params, meld_copy: Path) -> None:
    (meld_copy / "train_sent_emo.csv").write_bytes(b"\x00\xff\xfe\x00" * 100)
    with pytest.raises(DataError, match=r"train_sent_emo\.csv"):
        build_manifest(ingest(params, meld_copy, "meld"), SEED)[0]
