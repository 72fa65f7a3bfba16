"""What a model has learnt from is told wherever the model is."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from emofuse.cli import app
from emofuse.core.layouts import CORPORA, LAYOUTS
from emofuse.core.learnt import Elsewhere, LearntFrom, Reached
from emofuse.core.params import Params
from emofuse.datasets.about import describe_data
from emofuse.datasets.manifest import build_manifest
from emofuse.datasets.provenance import Provenance
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.inference.description import bundle_learnt_from, bundle_version, read_reached, write_reached
from tests.conftest import SEED, ingest
from tests.corpora import ravdess
from tests.pipeline.imports import ROOT


def described(params: Params, root: Path, layout: str, **changes: Any) -> LearntFrom:
    own = ingest(params, root, layout, **changes)
    return describe_data(build_manifest(own, SEED)[0], own)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twelve rows of three people."""
    rows = {
        "text": [f"line {number}" for number in range(12)],
        "label": ["joy", "anger"] * 6,
        "dialogue": [f"d{number // 2}" for number in range(12)],
        "speaker": ["Ann", "Ben", "Cem"] * 4,
    }
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


COLUMNS = {"text": "text", "label": "label", "dialogue": "dialogue", "speaker": "speaker"}


def test_every_corpus_that_is_read_by_its_name_is_described() -> None:
    assert set(CORPORA) == set(LAYOUTS) - {"hackathon", "table", "folders"}
    assert [name for name, corpus in CORPORA.items() if corpus.synthetic] == ["demo"]


def test_the_built_in_corpus_says_that_nobody_in_it_is_real(params: Params, corpus: Path) -> None:
    learnt = described(params, corpus, "demo")
    assert learnt.synthetic and learnt.languages == ("English",) and learnt.rows == 24
    assert learnt.sentence.startswith("the built-in corpus: 24 synthetic utterances of ")
    assert "drawn and voiced by a program; English; licence: Apache-2.0" in learnt.sentence


def test_a_corpus_of_actors_says_who_they_are_and_what_its_terms_are(params: Params, tmp_path: Path) -> None:
    ravdess(tmp_path)
    learnt = described(params, tmp_path, "ravdess")
    assert not learnt.synthetic
    assert learnt.sentence.startswith("RAVDESS: 64 real utterances of 8 people; English; licence: CC BY-NC-SA 4.0")
    assert "are cut by speaker. 0 of 1 test speakers are in train." in learnt.protocol
    assert "measured on 8 utterances of 1 person." in learnt.protocol


def test_what_nobody_says_of_a_table_is_not_said(params: Params, table: Path) -> None:
    learnt = described(params, table, "table", table=COLUMNS)
    assert learnt.sentence == f"{table.name}: 12 real utterances of 3 people; language not said; licence not said"
    nameless = described(params, table, "table", table={**COLUMNS, "speaker": None})
    assert nameless.people is None and "of people who are not named" in nameless.sentence


def test_what_the_user_says_of_a_table_goes_before_what_was_recorded(params: Params, table: Path) -> None:
    Provenance(title="Fetched talk", licence="CC0").write(table)
    fetched = described(params, table, "table", table=COLUMNS)
    assert (fetched.corpus, fetched.licence) == ("Fetched talk", "CC0")
    about = {"name": "Talk", "licence": "MIT", "languages": ["English", "Turkish"]}
    learnt = described(params, table, "table", table=COLUMNS, about=about)
    assert learnt.sentence == "Talk: 12 real utterances of 3 people; English and Turkish; licence: MIT"


def test_a_bundle_of_nothing_that_was_said_says_so() -> None:
    assert LearntFrom().sentence == "data that nobody has described"
    assert LearntFrom(corpus="FER").sentence == (
        "FER: not said how many real utterances of people who are not named; language not said; licence not said"
    )


def test_it_travels_in_the_bundle_and_decides_its_version(bundle: Path, tmp_path: Path) -> None:
    loaded = load_bundle(bundle)
    assert loaded.learnt_from == bundle_learnt_from(bundle)
    assert loaded.learnt_from.synthetic and loaded.learnt_from.rows == 24
    changed = loaded.learnt_from.model_copy(update={"licence": "another"})
    assert save_bundle(replace(loaded, learnt_from=changed), tmp_path / "other") != bundle_version(bundle)


def test_scores_stand_beside_the_bundle_and_change_no_version(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    assert read_reached(copy) == Reached()
    first, again, other = (
        Elsewhere(data=name, data_hash=digest, rows=9, scores={"accuracy": share})
        for name, digest, share in (("a", "1", 0.2), ("a", "1", 0.3), ("b", "2", 0.4))
    )
    write_reached(copy, Reached(home={"dev": {"accuracy": 0.5}}).add(first).add(other).add(again))
    assert list(read_reached(copy).elsewhere) == [other, again]
    assert load_bundle(copy).version == bundle_version(bundle)


@pytest.mark.parametrize("words", [["predict", "--text", "Oh no."], ["predict", "--csv", "a.csv", "--out", "b.csv"]])
def test_the_command_line_says_it_once_and_apart_from_the_answers(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "a.csv").write_text("text\nOh no.\nOh yes.\n")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*words, "--model", str(bundle)])
    assert done.exit_code == 0, done.output
    assert done.stderr.count("trained on the built-in corpus: 24 synthetic utterances") == 1
    assert "trained on" not in done.stdout


def test_every_answer_says_it(bundle: Path) -> None:
    done = CliRunner().invoke(app, ["predict", "--text", "Oh no.", "--json", "--model", str(bundle)])
    answer = json.loads(done.stdout)
    assert answer["synthetic"] is True
    assert answer["trained_on"] == load_bundle(bundle).learnt_from.sentence
