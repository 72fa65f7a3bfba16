"""The only place that knows MLflow: one run a model, and the champion in the registry.

A run is named by what it holds: its key is a hash of the bundle, the scores and the params. A key that is already
tracked is not tracked again, so re-running a cached pipeline adds no run and no version.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pandas as pd
from mlflow.entities import Dataset as DatasetEntity
from mlflow.entities import (
    DatasetInput,
    InputTag,
    LifecycleStage,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types.schema import ColSpec, Schema
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME
from mlflow.utils.validation import (
    MAX_DATASET_NAME_SIZE,
    MAX_ENTITY_KEY_LENGTH,
    MAX_PARAM_VAL_LENGTH,
    MAX_TAG_VAL_LENGTH,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError  # what MLflow lets through of a store that is no database of its own

from emofuse.core.errors import TrackingError
from emofuse.core.learnt import LearntFrom
from emofuse.core.metrics import METRICS
from emofuse.core.rows import MODEL_COLUMNS
from emofuse.core.tables import MANIFEST
from emofuse.inference.description import DESCRIPTION, copy_bundle
from emofuse.training.trial import Trial

if TYPE_CHECKING:
    from emofuse.evaluation.corpus_score import CorpusScore  # which loads torch

EXPERIMENT = REGISTERED_MODEL = "emofuse"
ALIAS = "champion"
LOCAL_STORE = "sqlite:///mlflow.db"
LOCAL_ARTIFACTS = Path("mlartifacts")
LOCAL_PAGE = "http://127.0.0.1:5000"  # of `make ui`
COLOR_TAG = "mlflow.runColor"  # MLflow's own; it draws colours by chance else, and often the same for two
# One a model, the same in every run of the pipeline, for those who see few colours too (Okabe and Ito, 2008).
COLORS = ("#999999", "#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")
CLASSICAL = {"mlflow.experimentKind": "custom_model_development"}  # opens on its runs, not on traces of an agent
KEY_TAG, BUNDLE_TAG, COMMIT_TAG = "emofuse.key", "emofuse.bundle", "mlflow.source.git.commit"
NAMES_TAG = "emofuse.names"  # what the names that MLflow doesn't take were
LONGEST_NAME = MAX_ENTITY_KEY_LENGTH - 8  # characters, less those of a number
_REFUSED = re.compile(r"[^\w.\- :]")  # in the name of a param or a metric, but for `/` (mlflow.utils.validation)
KINDS = {"string": "string", "int64": "long"}  # Arrow's name of a type, and MLflow's
INPUTS = Schema(
    [ColSpec(KINDS[str(MANIFEST.field(column).type)], name, required=False) for name, column in MODEL_COLUMNS.items()]
)
CONTEXTS = {
    "train": "training",
    "dev": "validation",
    "test": "testing",
}  # what each split is to a run, in MLflow's words
EXAMPLE = pd.DataFrame({"utterance": ["I can't believe you did that!"]})


@dataclass(frozen=True)
class ModelRun:
    """All that is tracked of one model.

    Attributes:
        name: the model's name.
        params: flat params, such as `train.epochs`.
        metrics: final figures, such as `dev/weighted_f1`.
        steps: figures by step: name, then (step, value) pairs.
        files: pictures and tables, kept under `reports/`.
        bundle: the folder of the bundle; None for the majority class.
        version: the bundle's hash; empty for the majority class.
        labels: the classes that the bundle answers with.
        learnt_from: what the bundle says of the data that it was made from; None for the majority class.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    steps: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    bundle: Path | None = None
    version: str = ""
    labels: tuple[str, ...] = ()
    learnt_from: LearntFrom | None = None

    def signature(self) -> ModelSignature:
        """What the logged bundle takes and gives."""
        answers = Schema([ColSpec("string", "label"), *(ColSpec("double", f"p_{label}") for label in self.labels)])
        return ModelSignature(inputs=INPUTS, outputs=answers)


@dataclass(frozen=True)
class Dataset:
    """What the models were trained and measured on.

    Attributes:
        description: its `name`, `hash`, `layout`, and counts; `splits` holds the rows of each split.
        figures: the data report's headline, such as `data/leaking_rows`, kept as params.
        apart: who of test is in train, in words.
    """

    description: Mapping[str, Any]
    figures: Mapping[str, float]
    apart: str = ""

    def as_inputs(self) -> list[DatasetInput]:
        """The splits in MLflow's terms."""
        return [self._as_input(split, CONTEXTS[split]) for split in self.description["splits"] if split in CONTEXTS]

    def _as_input(self, split: str, context: str) -> DatasetInput:
        entity = DatasetEntity(
            name=f"{self.description['name']}/{split}"[-MAX_DATASET_NAME_SIZE:],
            digest=str(self.description["hash"])[:16],
            source_type="emofuse",
            source=json.dumps({"layout": self.description["layout"], "split": split}),
            profile=json.dumps({"rows": self.description["splits"][split]}),
        )
        return DatasetInput(entity, [InputTag(MLFLOW_DATASET_CONTEXT, context)])


def run_key(run: ModelRun, data: Dataset) -> str:
    """Hash of what a run holds."""
    content = [run.name, dict(run.params), dict(run.metrics), run.version, dict(data.description)]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def track(runs: list[ModelRun], champion: str, data: Dataset) -> dict[str, str]:
    """Track every model that is not tracked yet, and give the champion its alias.

    Args:
        runs: one a model.
        champion: the name of the best on dev.
        data: what they were trained and measured on.

    Returns:
        The id of each model's run.

    Raises:
        TrackingError: the server can't be reached, or refuses.
    """
    with _server() as client:
        experiment = _experiment(client)
        colors = dict(zip((run.name for run in runs), cycle(COLORS), strict=False))
        ids = {run.name: _track_one(client, experiment, run, data, colors[run.name]) for run in runs}
        best = next(run for run in runs if run.name == champion)
        _register(client, experiment, ids[champion], best.version)
        return ids


def runs_page() -> str:
    """Where the runs are looked at: on the server's own page, or on that which `make ui` starts for the local store.

    Raises:
        TrackingError: the server can't be reached, or refuses.
    """
    with _server() as client:
        page = _shown(_store()) if _store().startswith("http") else LOCAL_PAGE
        return f"{page.rstrip('/')}/#/experiments/{_experiment(client)}/runs"


def run_file(run: str, path: str) -> Path:
    """A file that was tracked with a run, fetched to this machine where it is elsewhere.

    Raises:
        TrackingError: the server can't be reached, or has no such run or file.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with _server() as client:
        try:
            return Path(client.download_artifacts(run, path))
        except OSError as error:
            raise TrackingError(f"run {run}: no file {path}: {error}; run `dvc repro -f -s package`") from None


def track_trial(search: str, model: str, trial: Trial) -> None:
    """Track a trial as a child of its search's run; one that is tracked already is left as it is.

    Args:
        search: the search's name; both are made under it.
        model: whose params are searched.
        trial: what was tried.

    Raises:
        TrackingError: the server can't be reached, or refuses.
    """
    with _server() as client:
        experiment = _experiment(client)
        parent = _tracked(client, experiment, search)
        if parent is None:
            names = {KEY_TAG: search, MLFLOW_RUN_NAME: f"tune {model}", "emofuse.model": model}
            parent = _run_of(client, experiment, names)
            client.set_terminated(parent)
        key = f"{search}/{trial.number}"
        if _tracked(client, experiment, key) is not None:
            return
        names = {KEY_TAG: key, MLFLOW_PARENT_RUN_ID: parent, MLFLOW_RUN_NAME: f"trial {trial.number}"}
        tags = names | {"emofuse.model": model, "emofuse.pruned": str(trial.pruned).lower()}
        run = _run_of(client, experiment, tags)
        now = int(time.time() * 1000)
        points = [Metric("cv/weighted_f1", value, now, step) for step, value in enumerate(trial.scores, start=1)]
        client.log_batch(run, points, _params(trial.params, safe_names(trial.params)))
        client.set_terminated(run)


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """What names are called in MLflow, which takes letters, digits and a few signs, and no path such as `a//b`.

    A label may be anything that people write: signs, emoji, scripts with combining marks. Names that would become the
    same are numbered, so that no figure is written over another.
    """
    safe: dict[str, str] = {}
    for name in dict.fromkeys(names):
        parts = [_REFUSED.sub("_", part) for part in name.split("/")]
        plain = "/".join("_" if part.strip(".") == "" else part for part in parts)[:LONGEST_NAME]
        number, free = 1, plain
        while free in safe.values():
            number += 1
            free = f"{plain}-{number}"
        safe[name] = free
    return safe


def _params(params: Mapping[str, Any], names: Mapping[str, str]) -> list[Param]:
    """Params as MLflow takes them, which ends a long value."""
    return [Param(names[name], str(value)[:MAX_PARAM_VAL_LENGTH]) for name, value in params.items()]


def _store() -> str:
    """Where runs are kept; an empty variable counts as unset."""
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip() or LOCAL_STORE


@contextmanager
def _server() -> Iterator[MlflowClient]:
    uri = _store()
    # A server that is down should say so in seconds, not after MLflow's seven retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    _refuse_unopenable(uri)
    try:
        mlflow.set_tracking_uri(uri)  # which may set MLFLOW_TRACKING_URI: whether the user did can't be told afterwards
        yield MlflowClient(uri)
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        raise TrackingError(
            f"MLflow at {_shown(uri)}: {str(error).strip().splitlines()[0][:300]}; {_remedy(error, _shown(uri))}"
        ) from None


def _refuse_unopenable(uri: str) -> None:
    """Say at once that SQLite can't open a file, which MLflow tries for a minute and a half."""
    if not uri.startswith("sqlite:"):
        return
    try:
        sqlite3.connect(make_url(uri).database or "").close()
    except (sqlite3.OperationalError, SQLAlchemyError) as error:
        raise TrackingError(
            f"MLflow at {uri}: {error}; expected the file of a database, new or MLflow's own, in a folder that is "
            f"there: set MLFLOW_TRACKING_URI, or unset it to use {LOCAL_STORE}"
        ) from None


def _shown(uri: str) -> str:
    """An address without what logs in to it."""
    return re.sub(r"//[^/@]*@", "//", uri)


def _remedy(error: Exception, uri: str) -> str:
    """What to do about an error of a store."""
    if isinstance(error, ImportError):
        return f"install the driver of this database ({getattr(error, 'name', None) or uri}), then try again"
    if isinstance(error, SQLAlchemyError):
        return (
            "expected a database of MLflow that can be opened; move the file away, or start the database, or set "
            f"MLFLOW_TRACKING_URI to another store (unset, it is {LOCAL_STORE})"
        )
    if "filesystem tracking backend" in str(error):
        return f"set MLFLOW_TRACKING_URI to a server or a database, or unset it to use {LOCAL_STORE}"
    if "out-of-date database schema" in str(error):
        return f"keep a copy of the database, run `mlflow db upgrade {uri}`, then try again"
    if "not in the active state" in str(error) or "deleted" in str(error):
        return "restore what was deleted (`mlflow experiments restore`, or in `make ui`), or set MLFLOW_TRACKING_URI"
    return (
        "check MLFLOW_TRACKING_URI, what it needs to log in, and that the server runs, "
        f"or unset it to use {LOCAL_STORE}, then try again"
    )


def _experiment(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        artifacts = LOCAL_ARTIFACTS.resolve().as_uri() if _store() == LOCAL_STORE else None
        return str(client.create_experiment(EXPERIMENT, artifacts, tags=CLASSICAL))
    if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
        store = _shown(_store())
        raise TrackingError(
            f"MLflow at {store}: the experiment {EXPERIMENT!r} was deleted; restore it with "
            f"`MLFLOW_TRACKING_URI={store} mlflow experiments restore --experiment-id {experiment.experiment_id}`"
        )
    return str(experiment.experiment_id)


def _run_of(client: MlflowClient, experiment: str, tags: Mapping[str, str]) -> str:
    """The id of a new run with the tags that hold something."""
    return str(client.create_run(experiment, tags={name: text for name, text in tags.items() if text}).info.run_id)


def _own_tags(key: str, name: str, model: str, version: str) -> dict[str, str]:
    """What each run of a model is found by: its key, its name, and the model with its bundle's hash and the commit."""
    return {
        KEY_TAG: key,
        BUNDLE_TAG: version,
        COMMIT_TAG: _commit(),
        MLFLOW_RUN_NAME: name[:MAX_TAG_VAL_LENGTH],
        "emofuse.model": model,
    }


def _track_one(client: MlflowClient, experiment: str, run: ModelRun, data: Dataset, color: str) -> str:
    key = run_key(run, data)
    tracked = _tracked(client, experiment, key)
    if tracked is not None:
        return tracked
    # What the data is like is no result: as metrics, a chart of each would stand between those of the scores.
    params, names = {**run.params, **data.figures}, safe_names([*run.metrics, *run.steps])
    keys = safe_names(params)
    renamed = {safe: name for name, safe in (names | keys).items() if safe != name}
    tags = _own_tags(key, run.name, run.name, run.version) | {
        COLOR_TAG: color,
        NAMES_TAG: json.dumps(renamed, ensure_ascii=False)[:MAX_TAG_VAL_LENGTH] if renamed else "",
        "emofuse.apart": data.apart[:MAX_TAG_VAL_LENGTH],
    }
    if run.learnt_from is not None:
        tags["emofuse.trained_on"] = run.learnt_from.sentence[:MAX_TAG_VAL_LENGTH]
        tags["emofuse.synthetic"] = str(run.learnt_from.synthetic).lower()
    run_id = _run_of(client, experiment, tags)
    now = int(time.time() * 1000)
    figures = [Metric(names[name], value, now, 0) for name, value in run.metrics.items()]
    figures += [Metric(names[name], value, now, step) for name, points in run.steps.items() for step, value in points]
    entries = _params(params, keys)
    for start in range(0, len(entries), 100):  # the most that one call takes
        client.log_batch(run_id, params=entries[start : start + 100])
    for start in range(0, len(figures), 1000):
        client.log_batch(run_id, metrics=figures[start : start + 1000])
    client.log_inputs(run_id, data.as_inputs())
    for path in run.files:
        client.log_artifact(run_id, str(path), "reports")
    if run.bundle is not None:
        _log_model(
            client, run_id, run, run.bundle, [Metric(names[name], value, now, 0) for name, value in run.metrics.items()]
        )
    client.set_terminated(run_id)
    return run_id


def _tracked(client: MlflowClient, experiment: str, key: str) -> str | None:
    """The id of the run under a key, where there is one that came to its end."""
    runs: list[Run] = client.search_runs(
        [experiment], f"tags.`{KEY_TAG}` = '{key}' and attributes.status = 'FINISHED'", max_results=1
    )
    return str(runs[0].info.run_id) if runs else None


def _log_model(client: MlflowClient, run_id: str, run: ModelRun, bundle: Path, figures: Sequence[Metric]) -> None:
    """Log the bundle as a pyfunc model that a loader module opens: nothing in it is pickled.

    What `mlflow.pyfunc.log_model` does, less what takes most of its time: it reads the history of every metric back
    from the server one by one, and has each model answer the example, with its encoder, only to warn where it can't.

    Args:
        client: of the server.
        run_id: the run that made the model.
        run: what is tracked of it.
        bundle: its folder.
        figures: its final ones, with the times at which they were logged; with others, each would be shown twice.
    """
    tracked = client.get_run(run_id)
    model = mlflow.initialize_logged_model(
        "bundle", run_id, params=tracked.data.params, experiment_id=tracked.info.experiment_id
    )
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    of_model = [Metric(f.key, f.value, f.timestamp, f.step, model_id=model.model_id) for f in figures]
    for start in range(0, len(of_model), 1000):
        client.log_batch(run_id, metrics=of_model[start : start + 1000])
    described = Model(
        artifact_path=model.artifact_location,
        model_uuid=model.model_id,
        model_id=model.model_id,
        run_id=run_id,
        metadata={"bundle": run.version, "model": run.name},
    )
    with tempfile.TemporaryDirectory(prefix="emofuse-") as name:
        folder, whole = Path(name) / "model", Path(name) / run.name
        copy_bundle(bundle, whole)
        mlflow.pyfunc.save_model(
            folder,
            loader_module="emofuse.inference.mlflow_loader",
            data_path=str(whole),
            code_paths=["src/emofuse"],
            mlflow_model=described,
            pip_requirements="requirements-serve.lock",
            signature=run.signature(),
            input_example=EXAMPLE,
        )
        client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _register(client: MlflowClient, experiment: str, run_id: str, version: str) -> None:
    versions = client.search_model_versions(f"name = '{REGISTERED_MODEL}' and tags.`{BUNDLE_TAG}` = '{version}'")
    if versions:
        number = versions[0].version
    else:
        logged = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")[0]
        number = mlflow.register_model(logged.model_uri, REGISTERED_MODEL, tags={BUNDLE_TAG: version}).version
    client.set_registered_model_alias(REGISTERED_MODEL, ALIAS, number)


def _commit() -> str:
    answer = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


@contextmanager
def fetched_champion() -> Iterator[Path]:
    """The bundle of the model that has the alias, in a folder that is gone when the block ends.

    Raises:
        TrackingError: the server can't be reached, or no model has the alias.
    """
    with _server(), _fetched(f"models:/{REGISTERED_MODEL}@{ALIAS}") as folder:
        yield folder


@contextmanager
def fetched_run(run: str) -> Iterator[tuple[Path, dict[str, float]]]:
    """The bundle that was logged with a run, as `fetched_champion` gives it, and its scores on the test split.

    Raises:
        TrackingError: the server can't be reached, or has no such run or no model of it.
    """
    with _server() as client:
        tracked = client.get_run(run)
        models = client.search_logged_models([tracked.info.experiment_id], f"source_run_id = '{run}'")
        if not models:
            raise TrackingError(f"run {run}: found no model that was logged with it; name the run of a trained model")
        scores = {name.removeprefix("test/"): value for name, value in tracked.data.metrics.items()}
        with _fetched(models[0].model_uri) as folder:
            yield folder, {name: scores[name] for name in METRICS if name in scores}


@contextmanager
def _fetched(uri: str) -> Iterator[Path]:
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with tempfile.TemporaryDirectory(prefix="emofuse-") as folder:
        fetched = Path(mlflow.artifacts.download_artifacts(uri, dst_path=folder))
        description = next(fetched.rglob(DESCRIPTION), None)
        if description is None:
            raise TrackingError(f"{uri}: found no bundle in it; run `dvc repro`")
        yield description.parent


def _logged_model(client: MlflowClient, experiment: str, version: str) -> str | None:
    """The id under which a bundle was logged, by its hash."""
    for run in client.search_runs([experiment], f"tags.`{BUNDLE_TAG}` = '{version}'"):
        for model in client.search_logged_models([experiment], f"source_run_id = '{run.info.run_id}'"):
            return str(model.model_id)
    return None


def track_score(score: CorpusScore) -> str:
    """Track what a model reached on a corpus, as a run of its own and, where the model is logged, with that model.

    Returns:
        The id of the run; one that holds the same is not made again.

    Raises:
        TrackingError: the server can't be reached, or refuses.
    """
    with _server() as client:
        experiment = _experiment(client)
        name = f"{score.model} on {score.data}"
        key = hashlib.sha256(f"{score.version} {score.data} {score.data_hash}".encode()).hexdigest()
        tracked = _tracked(client, experiment, key)
        if tracked is not None:
            return tracked
        tags = _own_tags(key, name, score.model, score.version)
        tags["emofuse.scored_on"] = score.data[:MAX_TAG_VAL_LENGTH]
        run_id = _run_of(client, experiment, tags)
        dataset = DatasetEntity(
            name=score.data[-MAX_DATASET_NAME_SIZE:],
            digest=score.data_hash[:16],
            source_type="emofuse",
            source=json.dumps({"data": score.data}),
            profile=json.dumps({"rows": score.rows}),
        )
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "evaluation")])])
        now = int(time.time() * 1000)
        figures = {f"score/{metric}": each["value"] or 0.0 for metric, each in score.scores[score.model].items()}
        of = {"model_id": _logged_model(client, experiment, score.version), "dataset_name": dataset.name}
        client.log_batch(
            run_id,
            metrics=[Metric(n, v, now, 0, dataset_digest=dataset.digest, **of) for n, v in figures.items()],
        )
        client.log_dict(run_id, score.to_json(), "reports/score.json")
        client.set_terminated(run_id)
        return run_id


def step_back() -> str:
    """Give the alias to the version before the one that has it; returns its number.

    Raises:
        TrackingError: the server can't be reached, or there is none before.
    """
    with _server() as client:
        now = int(client.get_model_version_by_alias(REGISTERED_MODEL, ALIAS).version)
        versions = client.search_model_versions(f"name = '{REGISTERED_MODEL}'")
        before = sorted(number for number in (int(version.version) for version in versions) if number < now)
        if not before:
            raise TrackingError(f"{REGISTERED_MODEL}: found no version before {now}; set the alias in `make ui`")
        client.set_registered_model_alias(REGISTERED_MODEL, ALIAS, str(before[-1]))
        return str(before[-1])
