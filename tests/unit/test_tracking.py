from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name

from emofuse.core.errors import TrackingError
from emofuse.inference.bundle import load_bundle
from emofuse.inference.description import bundle_version
from emofuse.tracking import (
    ALIAS,
    EXPERIMENT,
    REGISTERED_MODEL,
    Dataset,
    ModelRun,
    runs_page,
    safe_names,
    track,
    track_trial,
)
from emofuse.training.trial import Trial
from tests.pipeline.imports import ROOT

DATA = Dataset(
    {"name": "corpus", "hash": "ab" * 32, "layout": "demo", "rows": 24, "splits": {"train": 18, "test": 6}},
    {"data/rows": 24},
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store of MLflow, which takes two seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def server(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    uri = f"sqlite:///{shutil.copy(database, tmp_path)}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir(ROOT)  # the model logs the project's code and lock
    client = MlflowClient(uri)
    client.create_experiment(EXPERIMENT, (tmp_path / "artifacts").as_uri())
    return client


@pytest.fixture
def run(bundle: Path, tmp_path: Path) -> ModelRun:
    picture = tmp_path / "confusion.png"
    picture.write_bytes(b"a picture")
    return ModelRun(
        name="early",
        params={"train.epochs": 2, "seed": 13},
        metrics={"dev/weighted_f1": 0.5, "test/joy/f1": 0.25},
        steps={"epoch/held_out_loss": [(1, 1.5), (2, 1.25)], "fold/accuracy": [(1, 0.4), (2, 0.6)]},
        files=(picture,),
        bundle=bundle,
        version=bundle_version(bundle),
        labels=load_bundle(bundle).labels,
        learnt_from=load_bundle(bundle).learnt_from,
    )


def test_a_run_holds_params_metrics_steps_files_and_tags(server: MlflowClient, run: ModelRun) -> None:
    found = server.get_run(track([run], "early", DATA)["early"])
    assert found.info.run_name == "early"
    assert found.data.params == {"train.epochs": "2", "seed": "13", "data/rows": "24"}
    assert found.data.metrics["test/joy/f1"] == 0.25
    used = {used.tags[0].value: used.dataset for used in found.inputs.dataset_inputs}
    assert {context: data.name for context, data in used.items()} == {
        "training": "corpus/train",
        "testing": "corpus/test",
    }
    assert used["testing"].digest == "ab" * 8
    assert json.loads(used["testing"].profile)["rows"] == 6
    assert [m.value for m in server.get_metric_history(found.info.run_id, "epoch/held_out_loss")] == [1.5, 1.25]
    assert found.data.tags["emofuse.bundle"] == run.version
    assert found.data.tags["emofuse.synthetic"] == "true"
    assert found.data.tags["emofuse.trained_on"].startswith("the built-in corpus: 24 synthetic utterances")
    assert len(found.data.tags["mlflow.source.git.commit"]) == 40
    assert found.data.tags["mlflow.runColor"].startswith("#")
    assert [file.path for file in server.list_artifacts(found.info.run_id, "reports")] == ["reports/confusion.png"]


def test_a_logged_model_holds_the_params_and_the_final_figures_of_its_run(server: MlflowClient, run: ModelRun) -> None:
    found = server.get_run(track([run], "early", DATA)["early"])
    (output,) = found.outputs.model_outputs
    model = server.get_logged_model(output.model_id)
    assert model.status == "READY"
    assert model.params == found.data.params
    assert {metric.key: metric.value for metric in model.metrics} == run.metrics
    assert len(server.get_metric_history(found.info.run_id, "test/joy/f1")) == 1


def test_tracking_again_adds_no_run_and_no_version(server: MlflowClient, run: ModelRun) -> None:
    assert track([run], "early", DATA) == track([run], "early", DATA)
    experiment = server.get_experiment_by_name(EXPERIMENT)
    assert len(server.search_runs([experiment.experiment_id])) == 1
    assert len(server.search_model_versions(f"name = '{REGISTERED_MODEL}'")) == 1


def test_the_alias_follows_the_champion_and_goes_back(server: MlflowClient, run: ModelRun) -> None:
    better = replace(run, metrics={"dev/weighted_f1": 0.6}, version="f" * 64)
    for champion in (run, better, run):
        track([champion], "early", DATA)
        alias = server.get_model_version_by_alias(REGISTERED_MODEL, ALIAS)
        assert alias.tags["emofuse.bundle"] == champion.version


def test_the_registered_champion_predicts(server: MlflowClient, run: ModelRun) -> None:
    track([run], "early", DATA)
    model = mlflow.pyfunc.load_model(f"models:/{REGISTERED_MODEL}@{ALIAS}")
    answer = model.predict(pd.DataFrame({"utterance": ["What a lovely day!"]}))
    assert model.metadata.get_output_schema().input_names() == answer.columns.tolist()
    assert model.metadata.get_input_schema().input_names() == ["video", "utterance", "position", "dialogue_length"]
    assert answer.filter(like="p_").sum(axis=1).iloc[0] == pytest.approx(1)
    assert f"p_{answer['label'].iloc[0]}" in answer


def test_a_server_that_is_down_is_a_message(monkeypatch: pytest.MonkeyPatch, run: ModelRun) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match=r"MLflow at http://127\.0\.0\.1:9: .*; check MLFLOW_TRACKING_URI"):
        track([run], "early", DATA)


def test_trials_are_children_of_their_search_and_tracked_once(server: MlflowClient) -> None:
    experiment = server.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    for number in (0, 1, 1):
        track_trial("a search", "early", Trial(number, {"train.dropout": 0.1 * number}, (0.5, 0.6), pruned=number == 1))
    runs = {run.info.run_name: run for run in server.search_runs([experiment.experiment_id])}
    assert set(runs) == {"tune early", "trial 0", "trial 1"}
    child = runs["trial 1"]
    assert child.data.tags["mlflow.parentRunId"] == runs["tune early"].info.run_id
    assert child.data.params == {"train.dropout": "0.1"}
    assert child.data.metrics["cv/weighted_f1"] == 0.6
    assert [run.data.tags["emofuse.pruned"] for run in (runs["trial 0"], child)] == ["false", "true"]


def test_without_a_server_all_lies_where_the_readme_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    track_trial("search", "early", Trial(0, {"train.dropout": 0.2}, [0.5], False))
    experiment = MlflowClient("sqlite:///mlflow.db").get_experiment_by_name("emofuse")
    assert experiment.artifact_location == (tmp_path / "mlartifacts").as_uri()
    assert {path.name for path in tmp_path.iterdir()} <= {"mlflow.db", "mlartifacts"}
    assert runs_page() == f"http://127.0.0.1:5000/#/experiments/{experiment.experiment_id}/runs"
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


LABELS = (
    "joy & fun",
    "100%",
    "it's",
    "\U0001f600",
    "खुशी",
    "ความสุข",
    "joy/../fear",
    "..",
    "a//b",
    "$5 and 6$",
    "x" * 300,
)


@given(st.lists(st.text(min_size=1), unique=True))
@example(list(LABELS))
@example(["joy+", "joy*", "joy_"])
def test_any_label_gets_a_name_of_its_own_that_mlflow_takes(labels: list[str]) -> None:
    names = safe_names(f"dev/{label}/f1" for label in labels)
    assert len(set(names.values())) == len(labels)
    for name in names.values():
        _validate_metric_name(name)
        assert len(name) <= MAX_ENTITY_KEY_LENGTH


def test_names_that_mlflow_takes_stay_as_they_are() -> None:
    names = ["dev/joy/precision", "subsets/text_audio", "cv/weighted_f1", "dev/très: joyeux/f1"]
    assert list(safe_names(names).values()) == names


def test_labels_of_all_kinds_are_tracked_and_shown_as_they_are(server: MlflowClient, run: ModelRun) -> None:
    metrics = {f"test/{label}/f1": number / 16 for number, label in enumerate(LABELS)}
    params = {"ingest.labels.joy & fun": "joy", "ingest.labels": "y" * 7000}
    id_ = track([replace(run, metrics=metrics, params=params)], "early", DATA)["early"]
    tracked = server.get_run(id_).data
    assert sorted(tracked.metrics.values()) == sorted([*metrics.values(), 1.25, 0.6])
    shown = json.loads(tracked.tags["emofuse.names"])
    assert set(shown.values()) >= {"test/joy & fun/f1", "test/खुशी/f1", "ingest.labels.joy & fun"}
    assert all(tracked.metrics[safe] == metrics[name] for safe, name in shown.items() if name in metrics)


def test_a_deleted_experiment_is_told_with_what_restores_it(server: MlflowClient, run: ModelRun) -> None:
    experiment = server.get_experiment_by_name(EXPERIMENT)
    server.delete_experiment(experiment.experiment_id)
    with pytest.raises(TrackingError, match=r"'emofuse' was deleted; restore it with .*restore --experiment-id 1"):
        track([run], "early", DATA)
    server.restore_experiment(experiment.experiment_id)
    assert track([run], "early", DATA)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:///{}/garbage.db", "expected a database of MLflow that can be opened; move the file away"),
        ("sqlite:///{}/folder", "unable to open database file; expected the file of a database"),
        ("sqlite:///{}/none/mlflow.db", "unable to open database file; expected .* in a folder that is there"),
        ("sqlite:/{}", "expected the file of a database"),
        ("postgresql+nodriver://me:secret@127.0.0.1:9/x", "MLFLOW_TRACKING_URI|driver"),
        ("mysql+pymysql://me:secret@127.0.0.1:9/x", r"install the driver of this database \(pymysql\)"),
        ("{}/folder", "set MLFLOW_TRACKING_URI to a server or a database"),
        ("nowhere://at/all", "check MLFLOW_TRACKING_URI"),
    ],
)
def test_what_is_no_store_is_a_message_with_a_remedy(
    uri: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "garbage.db").write_text("a letter, not a database" * 99)
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(tmp_path))
    with pytest.raises(TrackingError, match=message) as caught:
        track_trial("search", "early", Trial(0, {"train.dropout": 0.2}, [0.5], False))
    assert "secret" not in str(caught.value)
