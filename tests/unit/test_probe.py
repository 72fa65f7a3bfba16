"""Probes on made-up features whose worth is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from emofuse.cli import app
from emofuse.core.errors import DataError
from emofuse.core.files import read_json
from emofuse.core.params import Params, TextParams
from emofuse.core.records import Utterance
from emofuse.evaluation.probe.run import Labelled, Probe, probe
from emofuse.evaluation.probe.table import described, markdown
from tests.pipeline.imports import ROOT

GLAD = ["Oh, great!", "How lovely!", "We won!", "Yes!"]
FLAT = ["It is on the table.", "He left at nine.", "The shop is closed.", "I see."]


def spoken(speakers: int) -> Labelled:
    """Each speaker says all: the marks tell the classes apart."""
    said = [Utterance(text=text) for _ in range(speakers) for text in GLAD + FLAT]
    labels = ["joy"] * len(GLAD) + ["neutral"] * len(FLAT)
    groups = np.repeat([f"speaker{number}" for number in range(speakers)], len(GLAD + FLAT))
    return Labelled(said, np.array(labels * speakers), groups)


@pytest.fixture(scope="module")
def cues(params: Params) -> TextParams:
    return params.text.model_copy(update={"groups": ["cues"]})


def row(found: Probe, features: str, classifier: str) -> dict[str, float]:
    (chosen,) = (row for row in found.rows if (row.features, row.classifier) == (features, classifier))
    return {name: score["value"] for name, score in chosen.scores.items()}


def test_marks_tell_joy_from_none_and_the_majority_does_not(cues: TextParams) -> None:
    found = probe(cues, spoken(4), ["logistic", "linear_svm", "rbf_svm"], folds=4, seed=1)
    assert row(found, "majority class", "majority")["unweighted_recall"] == 0.5
    for classifier in ("logistic", "linear_svm", "rbf_svm"):
        assert row(found, "all", classifier)["accuracy"] == 1


def test_utterances_without_features_are_left_out_and_counted(cues: TextParams) -> None:
    data = spoken(3)
    mute = Labelled([*data.utterances, Utterance()], np.append(data.labels, "joy"), np.append(data.groups, "speaker0"))
    found = probe(cues, mute, ["logistic"], folds=0, seed=1)
    assert (found.scored, found.absent) == (24, 1)


def test_a_split_is_fitted_on_and_the_other_scored(cues: TextParams) -> None:
    data = spoken(3)
    fixed = Labelled(data.utterances, data.labels, data.groups, data.groups == "speaker2")
    found = probe(cues, fixed, ["logistic"], folds=5, seed=1)
    assert (found.scored, found.fitted) == (8, 16)


def test_too_few_speakers_are_a_message(cues: TextParams) -> None:
    with pytest.raises(DataError, match="found 3 dialogues or speakers, expected 5 or more"):
        probe(cues, spoken(3), ["logistic"], folds=5, seed=1)


def test_nothing_to_extract_is_a_message(cues: TextParams) -> None:
    nothing = Labelled([Utterance()] * 2, np.array(["a", "b"]), np.array(["a", "b"]))
    with pytest.raises(DataError, match="none of 2 utterances has features; the first: no text"):
        probe(cues, nothing, ["logistic"], folds=2, seed=1)


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(ROOT)
    yield


def run(*words: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["probe", *map(str, words)])
    return result.exit_code, result.output


def table(folder: Path, header: str, rows: Sequence[str]) -> Path:
    (folder / "said.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder / "said.csv"


@pytest.mark.usefixtures("at_root")
def test_any_table_is_probed_and_written(tmp_path: Path) -> None:
    rows = [
        f'"{text}",{label},p{n}' for n in range(3) for label, said in (("joy", GLAD), ("none", FLAT)) for text in said
    ]
    asked = ["--text", "said", "--label", "feeling", "--speaker", "who", "--by", "speaker", "--folds", "0"]
    out = tmp_path / "out"
    code, output = run("text", table(tmp_path, "said,feeling,who", rows), *asked, "--groups", "cues", "--out", out)
    assert code == 0, output
    told = read_json(out.with_suffix(".json"))
    assert told["rows"][1]["scores"]["accuracy"]["value"] == 1
    assert told["protocol"] == "one speaker left out at a time"
    assert out.with_suffix(".md").read_text() == markdown(told)


@pytest.mark.usefixtures("at_root")
def test_an_unknown_group_is_a_message(tmp_path: Path) -> None:
    code, output = run("text", table(tmp_path, "said", ["Hi"]), "--groups", "nonsense")
    assert code == 2
    assert "--groups: found 'nonsense'; input should be 'embedding', 'cues' or 'classes'" in output


@pytest.mark.usefixtures("at_root")
def test_where_a_probe_cannot_be_written_it_is_told_before_anything_is_read(tmp_path: Path) -> None:
    data = table(tmp_path, "said", ["Hi"])
    code, output = run("text", data, "--text", "words", "--out", data / "out")
    assert code == 2 and "out.json: can't be written (" in output


@pytest.mark.usefixtures("at_root")
def test_a_missing_column_is_a_message(tmp_path: Path) -> None:
    code, output = run("text", table(tmp_path, "said,label", ["Hi,joy"]), "--text", "words")
    assert code == 2
    assert "missing columns words" in output


def test_the_table_tells_what_it_is_of(cues: TextParams) -> None:
    told = described(probe(cues, spoken(3), ["logistic"], folds=0, seed=1), "talk", "text", "a protocol")
    shown = markdown(told)
    assert shown.startswith("text of talk: 24 utterances scored; a protocol.")
    assert "| all | logistic | 14 |" in shown


def test_a_group_that_is_unknown_everywhere_tells_no_more_than_the_majority(params: Params) -> None:
    groups = params.metadata.model_copy(update={"groups": ["duration", "position"]})
    data = spoken(3)
    placed = [replace(utterance, position=index % 8) for index, utterance in enumerate(data.utterances)]
    found = probe(groups, replace(data, utterances=placed), ["logistic"], folds=3, seed=1)
    assert row(found, "duration", "logistic") == row(found, "majority class", "majority")
    assert row(found, "position", "logistic")["accuracy"] == 1
