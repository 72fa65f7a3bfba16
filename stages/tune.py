"""Stage tune: a search over training params; its best as a file that `dvc exp run` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from emofuse.errors import guard
from emofuse.evaluation.plots import search_picture
from emofuse.params import TrainParams, load_params
from emofuse.schema import FEATURES_DIR, MANIFEST_FILE, REPORTS_DIR, SCALERS_FILE, write_csv, write_json, written_aside
from emofuse.tracking import Trial, track_trial
from emofuse.training import train_member
from emofuse.trainingset import TrainingSet, read_training_set
from emofuse.tuning import ended_trials, importances, open_study, search, setting, study_name

FOLDER = REPORTS_DIR / "tune"
STUDIES = Path(".cache/tune.sqlite")


def main() -> None:
    """Search as far as params.yaml asks; write what was tried, what mattered and what is best."""
    params = load_params()
    name = study_name(params.train, params.tune, params.seed, data_hash())
    study = open_study(STUDIES, name)

    def told(trial: FrozenTrial) -> None:
        track_trial(name, params.tune.model, as_tracked(trial))
        print(f"trial {trial.number}: {last(trial):.4f}{' pruned' if trial.state is TrialState.PRUNED else ''}")

    for trial in ended_trials(study):  # those of a run that was killed before it told of them
        track_trial(name, params.tune.model, as_tracked(trial))
    if params.tune.trials > len(ended_trials(study)):
        data = read_training_set(params.tune.model, params.train)
        search(study, partial(fold_scores, data, params.seed), params.train, params.tune, params.seed, told)
    write(study, params.tune.model, params.tune.trials)


def fold_scores(data: TrainingSet, seed: int, train: TrainParams) -> Iterator[float]:
    """The held-out weighted F1 of each fold, as it is trained."""
    for job in data.jobs(train, seed):
        yield train_member(job).score.weighted_f1


def data_hash() -> str:
    """Names the data that is trained on."""
    digest = hashlib.sha256()
    for path in (MANIFEST_FILE, SCALERS_FILE, *sorted(FEATURES_DIR.glob("*.parquet"))):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def as_tracked(trial: FrozenTrial) -> Trial:
    """A trial as MLflow shows it."""
    tried = {f"train.{name}": value for name, value in setting(trial).items()}
    scores = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    return Trial(trial.number, tried, scores, trial.state is TrialState.PRUNED)


def last(trial: FrozenTrial) -> float:
    """The mean over the folds that were trained."""
    return trial.intermediate_values[max(trial.intermediate_values)]


def write(study: optuna.Study, model: str, asked: int) -> None:
    """Write trials.csv, importance.csv, best.json, best.args and a picture; with no trial asked for, no best."""
    trials = ended_trials(study)[:asked]
    rows = [
        {"trial": n, "weighted_f1": last(trial), "pruned": trial.state is TrialState.PRUNED, **setting(trial)}
        for n, trial in enumerate(trials)
    ]
    table = pd.DataFrame(rows, columns=None if rows else ["trial", "weighted_f1", "pruned"])
    mattered = pd.DataFrame(importances(study).items(), columns=["setting", "importance"])
    write_csv(FOLDER / "trials.csv", table)
    write_csv(FOLDER / "importance.csv", mattered)
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    best = max(complete, key=last) if complete else None
    settings = {} if best is None else setting(best)
    found = {} if best is None else {"weighted_f1": last(best), "default": last(trials[0]), "settings": settings}
    write_json(FOLDER / "best.json", found)
    arguments = "".join(f"-S 'train.{name}={str(value).replace(' ', '')}'\n" for name, value in settings.items())
    with written_aside(FOLDER / "best.args") as aside:
        aside.write_text(arguments, encoding="utf-8")
    if best is not None:
        search_picture(FOLDER / "search.png", model, table, mattered)
        print(f"best {last(best):.4f}, default {last(trials[0]):.4f}; try it: xargs dvc exp run < {FOLDER}/best.args")


if __name__ == "__main__":
    with guard():
        main()
