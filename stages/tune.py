"""Stage tune: a search over training params; its best as a file that `dvc exp run` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from emofuse.core.errors import guard
from emofuse.core.params import Params, TrainParams, load_params
from emofuse.core.paths import FEATURES_DIR, MANIFEST_FILE, REPORTS_DIR, SCALERS_FILE
from emofuse.core.tables import atomic_write, write_csv, write_json

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from emofuse.training.dataset import TrainingSet

FOLDER = REPORTS_DIR / "tune"
STUDIES = Path(".cache/tune.sqlite")


@dataclass(frozen=True)
class Tried:
    """A trial that has ended.

    Attributes:
        settings: what was tried, by dotted key below `train`.
        scores: the mean held-out weighted F1 after each fold.
        pruned: whether it was given up.
    """

    settings: Mapping[str, Any]
    scores: Sequence[float]
    pruned: bool

    @property
    def last(self) -> float:
        """The mean over the folds that were trained."""
        return self.scores[-1]


@dataclass(frozen=True)
class Found:
    """What came out of a search: its trials in order, and each setting's share in the spread of their scores."""

    trials: Sequence[Tried] = ()
    importance: Mapping[str, float] = field(default_factory=dict)


def main() -> None:
    """Search as far as params.yaml asks; write what was tried, what mattered and what is best."""
    params = load_params()
    write(run(params) if params.tune.trials else Found(), params.tune.model)


def run(params: Params) -> Found:
    """Search, and track each trial as it ends; what this needs is imported where a trial is asked for."""
    from emofuse.tracking import Trial, track_trial
    from emofuse.training.dataset import read_training_set
    from emofuse.training.search import ended_trials, importances, open_study, search, study_name

    name = study_name(params.train, params.tune, params.seed, data_hash())
    study = open_study(STUDIES, name)

    def tracked(trial: FrozenTrial) -> Tried:
        """Track a trial."""
        ended = tried(trial)
        named = {f"train.{key}": value for key, value in ended.settings.items()}
        track_trial(name, params.tune.model, Trial(trial.number, named, ended.scores, ended.pruned))
        return ended

    def told(trial: FrozenTrial) -> None:
        """Track a trial and say what it scored."""
        ended = tracked(trial)
        print(f"trial {trial.number}: {ended.last:.4f}{' pruned' if ended.pruned else ''}")

    for trial in ended_trials(study):  # those of a run that was killed before it told of them
        tracked(trial)
    if params.tune.trials > len(ended_trials(study)):
        data = read_training_set(params.tune.model, params.train)
        search(study, partial(fold_scores, data, params.seed), params.train, params.tune, params.seed, told)
    return Found([tried(trial) for trial in ended_trials(study)[: params.tune.trials]], importances(study))


def fold_scores(data: TrainingSet, seed: int, train: TrainParams) -> Iterator[float]:
    """The held-out weighted F1 of each fold, as it is trained."""
    from emofuse.training.loop import train_member

    for job in data.jobs(train, seed):
        yield train_member(job).score.weighted_f1


def data_hash() -> str:
    """Names the data that is trained on."""
    digest = hashlib.sha256()
    for path in (MANIFEST_FILE, SCALERS_FILE, *sorted(FEATURES_DIR.glob("*.parquet"))):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def tried(trial: FrozenTrial) -> Tried:
    """A trial of a study, without Optuna."""
    from emofuse.training.search import setting

    scores = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    return Tried(setting(trial), scores, trial.state.name == "PRUNED")


def write(found: Found, model: str) -> None:
    """Write trials.csv, importance.csv, best.json, best.args and a picture; with no trial asked for, no best."""
    trials = found.trials
    rows = [
        {"trial": n, "weighted_f1": trial.last, "pruned": trial.pruned, **trial.settings}
        for n, trial in enumerate(trials)
    ]
    table = pd.DataFrame(rows, columns=None if rows else ["trial", "weighted_f1", "pruned"])
    mattered = pd.DataFrame(found.importance.items(), columns=["setting", "importance"])
    write_csv(FOLDER / "trials.csv", table)
    write_csv(FOLDER / "importance.csv", mattered)
    best = max((trial for trial in trials if not trial.pruned), key=lambda trial: trial.last, default=None)
    settings = {} if best is None else best.settings
    told = {} if best is None else {"weighted_f1": best.last, "default": trials[0].last, "settings": settings}
    write_json(FOLDER / "best.json", told)
    arguments = "".join(f"-S 'train.{name}={str(value).replace(' ', '')}'\n" for name, value in settings.items())
    with atomic_write(FOLDER / "best.args") as aside:
        aside.write_text(arguments, encoding="utf-8")
    if best is not None:
        from emofuse.reporting.plots import search_picture

        search_picture(FOLDER / "search.png", model, table, mattered)
        print(f"best {best.last:.4f}, default {trials[0].last:.4f}; try it: xargs dvc exp run < {FOLDER}/best.args")


if __name__ == "__main__":
    with guard():
        main()
