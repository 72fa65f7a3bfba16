from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from emofuse.core.errors import TrackingError
from emofuse.inference.bundle import load_bundle
from emofuse.inference.description import bundle_version
from emofuse.tracking import ALIAS, EXPERIMENT, REGISTERED_MODEL, Dataset, ModelRun, Trial, track, track_trial
from tests.pipeline.imports import ROOT

DATA = Dataset(
    {"name": "corpus", "hash": "ab" * 32, "layout": "demo", "rows": 24, "splits": {"train": 18, "test": 6}},
    {"data/rows": 24},
)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
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
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
