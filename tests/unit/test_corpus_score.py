"""Finished models on data that they were not made from."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from sklearn.metrics import balanced_accuracy_score, f1_score
from typer.testing import CliRunner

from emofuse.cli import _print_table, app
from emofuse.core.errors import DataError
from emofuse.core.files import write_json
from emofuse.core.learnt import Reached
from emofuse.core.params import Params
from emofuse.core.tables import utterances
from emofuse.datasets.manifest import read_corpus
from emofuse.datasets.named_corpus import corpus_params
from emofuse.evaluation.bundle_sources import opened_bundle
from emofuse.evaluation.corpus_score import CorpusScore, score_corpus
from emofuse.inference.description import bundle_version, copy_bundle, write_reached
from emofuse.inference.predictor import Predictor
from emofuse.reporting.score_page import score_lines
from emofuse.tracking import fetched_run

TEXTS = {"I can't believe you did that!": "rage", "I am so happy!": "joy", "Go away.": "rage", "Well.": "smug"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows without splits or dialogues, labelled in words of which the model knows one."""
    path = tmp_path / "rows.csv"
    pd.DataFrame({"text": list(TEXTS), "label": list(TEXTS.values())}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def here(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Params:
    """Params that extract each clip once for all these tests."""
    run = params.extract.model_copy(update={"cache": tmp_path_factory.mktemp("cache"), "workers": 1})
    return params.model_copy(update={"extract": run})


def scored(bundle: Path, here: Params, data: str, labels: list[str]) -> CorpusScore:
    ingest = corpus_params(data, labels, here.ingest)
    home = {"unweighted_recall": 0.5}
    return score_corpus(Predictor.load(bundle), read_corpus(ingest), ingest, data, here, home)


def test_the_figures_are_those_of_the_answers(bundle: Path, corpus: Path, here: Params) -> None:
    rows = read_corpus(corpus_params(f"demo:{corpus}", [], here.ingest))
    predictor = Predictor.load(bundle)
    result = scored(bundle, here, f"demo:{corpus}", [])
    labelled = rows["label"].isin(predictor.bundle.labels)
    answers = [answer.label for answer in predictor.predict(utterances(rows, corpus))]
    actual, predicted = rows.loc[labelled, "label"], pd.Series(answers)[labelled]
    reached = {name: each["value"] for name, each in result.scores["early"].items()}
    assert result.rows == labelled.sum() > 15
    assert reached["unweighted_recall"] == pytest.approx(balanced_accuracy_score(actual, predicted), abs=1e-5)
    assert reached["weighted_f1"] == pytest.approx(f1_score(actual, predicted, average="weighted"), abs=1e-5)
    assert result.scores["majority"]["accuracy"]["value"] == pytest.approx(
        actual.value_counts(normalize=True).max(), abs=1e-5
    )
    assert (result.groups, result.drawn) == (6, "dialogues")


def test_labels_are_mapped_and_classes_that_the_model_does_not_know_are_told(
    bundle: Path, table: Path, here: Params
) -> None:
    bare = scored(bundle, here, f"table:{table}", [])
    assert (bare.rows, bare.unknown) == (1, {"rage": 2, "smug": 1})
    assert "rage (2), smug (1); map them with --map rage=CLASS" in bare.notes()[0]
    mapped = scored(bundle, here, f"table:{table}", ["rage=anger"])
    assert (mapped.rows, mapped.unknown) == (3, {"smug": 1})
    assert [row["support"] for row in mapped.classes if row["label"] == "anger"] == [2]
    assert "anger" not in mapped.unused and "sadness" in mapped.unused
    assert score_lines([mapped])[-1][0] == "early at home, test"


def test_what_params_say_of_data_of_ones_own_is_not_asked_of_another_corpus(here: Params, table: Path) -> None:
    own = here.ingest.model_copy(update={"id": "Sr No.", "apart": "speaker", "labels": {"rage": "fear"}})
    read = corpus_params(f"table:{table}", ["Rage=anger"], own)
    assert (read.id, read.apart, read.labels) == (None, "auto", {"rage": "anger"})
    assert len(read_corpus(read)) == 4


def test_an_encoder_that_has_learnt_from_the_corpus_is_told(bundle: Path, table: Path, here: Params) -> None:
    more = here.evaluate.model_copy(update={"met_before": {"embedded": ["rows"]}})
    notes = scored(bundle, here.model_copy(update={"evaluate": more}), f"table:{table}", []).notes()
    assert notes[0].startswith("text.encoder embedded has learnt from rows, on which it is measured here")


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        ("rows", ["rage"], "found 'rage', expected LABEL=CLASS"),
        ("rows", ["rage=anger", "Rage=joy"], "found rage=anger, Rage=joy, expected each label once"),
        ("rows", ["joy=mirth", "rage=mirth", "smug=mirth"], "found the labels mirth, expected any of anger"),
        ("nowhere.csv", [], "nowhere.csv"),
        ("medl:rows", [], "found no such layout, expected a path or LAYOUT:PATH with one of demo, meld"),
    ],
)
def test_what_can_not_be_scored_is_told(
    bundle: Path, table: Path, here: Params, data: str, labels: list[str], message: str
) -> None:
    asked = data.replace("rows", str(table))
    with pytest.raises(DataError, match=message):
        scored(bundle, here, asked if ":" in asked else f"table:{asked}", labels)


def test_a_score_is_tracked_once_with_the_model_that_it_is_of(
    bundle: Path, corpus: Path, table: Path, here: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "params.yaml", here.model_dump(mode="json"))
    command = ["score", f"demo:{corpus}", f"table:{table}", "--model", str(bundle), "--map", "rage=anger"]
    files = ["--json", "scores.json", "--html", "scores.html"]
    for _ in range(2):
        done = CliRunner().invoke(app, [*command, *files])
        assert done.exit_code == 0, done.output
    assert "of classes that early doesn't know: smug (1)" in done.output
    both = json.loads((tmp_path / "scores.json").read_text())
    assert [each["data"] for each in both] == [f"demo:{corpus}", f"table:{table}"]
    page = (tmp_path / "scores.html").read_text()
    assert f"{both[0]['scores']['early']['unweighted_recall']['value']:.3f}" in page
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("emofuse")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["emofuse.scored_on"] for run in runs} == {each["data"] for each in both} and len(runs) == 2
    assert {run.data.tags["emofuse.bundle"] for run in runs} == {Predictor.load(bundle).bundle.version}


def test_a_model_is_found_by_its_folder_and_what_is_none_is_told(bundle: Path, tmp_path: Path) -> None:
    with opened_bundle(str(bundle), fetched_run) as (folder, home):
        assert (folder, home) == (bundle, {})
    with pytest.raises(DataError, match=r"found no bundle\.json in it"), opened_bundle(str(tmp_path), fetched_run):
        pass


def test_a_bundle_that_lies_elsewhere_tells_what_it_reached_itself(bundle: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "champion"
    copy_bundle(bundle, elsewhere)
    write_reached(elsewhere, Reached(home={"dev": {"accuracy": 0.5}, "test": {"accuracy": 0.7}}))
    with opened_bundle(str(elsewhere), fetched_run) as (_, home):
        assert home == {"accuracy": 0.7}


def test_figures_stay_whole_in_a_narrow_terminal(
    bundle: Path, table: Path, here: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = score_lines([scored(bundle, here, f"table:{table}", ["rage=anger"])])
    _print_table(lines, "95% intervals")
    printed = capsys.readouterr().out
    figures = [part.replace(" to ", "…") for row in lines[1:] for cell in row[2:] for part in cell.split("\n")]
    assert figures and all(figure in printed for figure in figures)
    assert "early at home" in " ".join(printed.split()) and max(map(len, printed.splitlines())) <= 80


def test_scores_at_home_are_told_of_the_very_bundle_that_was_measured(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "reports/metrics.json", {"early": {"test": {"accuracy": 0.7}}})
    homes = []
    for version in (bundle_version(bundle), "0" * 64):
        write_json(tmp_path / "reports/evaluation.json", {"versions": {"early": version}})
        with opened_bundle(str(bundle), fetched_run) as (_, home):
            homes.append(home)
    assert homes == [{"accuracy": 0.7}, {}]
