"""Search over training params: Optuna's tree-structured Parzen estimator with pruning, resumable in an SQLite study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from emofuse.core.errors import DataError, ParamsError
from emofuse.core.params import ChoiceSpace, RangeSpace, TrainParams, TuneParams
from emofuse.training.dataset import TrainingSet
from emofuse.training.loop import train_member
from emofuse.training.trial import SearchResult, Trial

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
FREE_TRIALS, FREE_FOLDS = 5, 1  # that are never pruned
Folds = Callable[[TrainParams], Iterator[float]]


def search_model(
    storage: Path,
    data: TrainingSet,
    base: TrainParams,
    tune: TuneParams,
    seed: int,
    report: Callable[[str, Trial], None],
) -> SearchResult:
    """Search the params of a model, or go on with a search of the same data, params and space.

    Args:
        storage: the SQLite file of the studies.
        data: what the model is trained on.
        base: the params that the search starts from.
        tune: space and budget.
        seed: of folds, weights and sampler.
        report: gets the study's name and each trial that has ended, those of earlier runs among them, since a run that
            was killed may not have reported its last.

    Raises:
        DataError: the file is no store of studies.
        ParamsError: the space names a key that `train` doesn't have, or a value that it doesn't take.
    """
    name = study_name(base, tune, seed, data.digest())
    study = open_study(storage, name)
    for trial in ended_trials(study):
        report(name, as_trial(trial))
    search(study, partial(_fold_scores, data, seed), base, tune, seed, lambda trial: report(name, as_trial(trial)))
    return SearchResult([as_trial(trial) for trial in ended_trials(study)[: tune.trials]], importances(study))


def _fold_scores(data: TrainingSet, seed: int, train: TrainParams) -> Iterator[float]:
    """The held-out weighted F1 of each fold, as it is trained."""
    for job in data.jobs(train, seed):
        yield train_member(job).score.weighted_f1


def as_trial(trial: FrozenTrial) -> Trial:
    """A trial of a study, without Optuna."""
    scores = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    params = {f"train.{name}": value for name, value in setting(trial).items()}
    return Trial(trial.number, params, scores, trial.state is TrialState.PRUNED)


def study_name(base: TrainParams, tune: TuneParams, seed: int, content: str) -> str:
    """What a study is about, as a hash: another number of trials goes on with the same study.

    Args:
        base: the params that the search starts from.
        tune: model and space.
        seed: of folds, weights and sampler.
        content: names the data.
    """
    about = [base.model_dump(mode="json"), tune.model_dump(mode="json", exclude={"trials"}), seed, content]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]


def open_study(storage: Path, name: str) -> optuna.Study:
    """The study of a name in an SQLite file; both are made where they are missing.

    Raises:
        DataError: the file is no store of studies.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage.parent.mkdir(parents=True, exist_ok=True)
    pruner = optuna.pruners.MedianPruner(FREE_TRIALS, FREE_FOLDS)
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{storage}", study_name=name, direction="maximize", pruner=pruner, load_if_exists=True
        )
        for trial in study.get_trials(states=(TrialState.RUNNING,)):  # its process was killed: it is tried anew
            study.tell(trial.number, state=TrialState.FAIL)
    except (SQLAlchemyError, RuntimeError) as error:
        raise DataError(
            f"{storage}: expected a store of Optuna's studies, or no file; {str(error).splitlines()[0]}. "
            "Delete it and run again"
        ) from None
    return study


def ended_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to an end, pruned ones among them, in the order of their numbers."""
    return study.get_trials(states=ENDED)


def search(
    study: optuna.Study,
    folds: Folds,
    base: TrainParams,
    tune: TuneParams,
    seed: int,
    on_end: Callable[[FrozenTrial], None],
) -> None:
    """Try settings until `tune.trials` of them have ended, the present params first.

    The sampler is that of Bergstra et al. (NeurIPS 2011). A trial is pruned where its mean over the folds so far falls
    behind the median of the others after as many folds. Each trial has a sampler seeded by its rank, so that a search
    which was killed and started again comes to what an undisturbed one comes to.

    Args:
        study: where trials are kept.
        folds: trains with given params and gives the score of each fold as it is done.
        base: the params that the search starts from.
        tune: space and budget.
        seed: of the sampler.
        on_end: called with each trial as it ends.

    Raises:
        ParamsError: the space names a key that `train` doesn't have, or a value that it doesn't take.
    """
    changed(base, {name: _some(space) for name, space in tune.space.items()})
    for rank in range(len(ended_trials(study)), tune.trials):
        study.sampler = optuna.samplers.TPESampler(seed=seed + rank)
        if rank == 0:
            study.enqueue_trial(_present(base, tune))
        trial = study.ask()
        settings = {name: _suggested(trial, name, space) for name, space in tune.space.items()}
        on_end(_run(study, trial, folds(changed(base, settings))))


def changed(base: TrainParams, settings: Mapping[str, Any]) -> TrainParams:
    """Params with some values, named by dotted keys below `train`, replaced.

    Raises:
        ParamsError: there is no such key, or it doesn't take such a value.
    """
    content = base.model_dump()
    for name, value in settings.items():
        section, last = _section(content, name)
        section[last] = value
    try:
        return TrainParams.model_validate(content)
    except ValidationError as error:
        detail = error.errors()[0]
        name = ".".join(map(str, detail["loc"]))
        raise ParamsError(f"tune.space: train.{name} = {detail['input']!r}: {detail['msg']}; mend the space") from None


def setting(trial: FrozenTrial) -> dict[str, Any]:
    """The values that a trial tried, by dotted key below `train`."""
    return {name: json.loads(value) if isinstance(value, str) else value for name, value in trial.params.items()}


def importances(study: optuna.Study) -> dict[str, float]:
    """Each setting's share in the spread of the scores (Hutter et al., ICML 2014); empty with too few trials."""
    values = {trial.value for trial in study.get_trials(states=(TrialState.COMPLETE,))}
    if len(values) < 2:
        return {}
    return dict(
        optuna.importance.get_param_importances(study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0))
    )


def _run(study: optuna.Study, trial: optuna.Trial, scores: Iterator[float]) -> FrozenTrial:
    done: list[float] = []
    for score in scores:
        done.append(score)
        trial.report(fmean(done), step=len(done))
        if trial.should_prune():
            return study.tell(trial, state=TrialState.PRUNED)
    return study.tell(trial, fmean(done))


def _section(content: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    *path, last = name.split(".")
    for part in path:
        content = content.get(part, {})
    if last not in content:
        raise ParamsError(f"tune.space: found {name!r}, expected a key below train such as dropout or early.hidden")
    return content, last


def _present(base: TrainParams, tune: TuneParams) -> dict[str, Any]:
    """The present params as a point of the space; what lies outside of it is left to chance."""
    content = base.model_dump()
    sections = {name: _section(content, name) for name in tune.space}
    values = {
        name: section[last] for name, (section, last) in sections.items() if _holds(tune.space[name], section[last])
    }
    return {n: json.dumps(v) if isinstance(tune.space[n], ChoiceSpace) else v for n, v in values.items()}


def _holds(space: RangeSpace | ChoiceSpace, value: Any) -> bool:
    if isinstance(space, ChoiceSpace):
        return value in space.choices
    return isinstance(value, int | float) and space.low <= value <= space.high


def _some(space: RangeSpace | ChoiceSpace) -> Any:
    return space.low if isinstance(space, RangeSpace) else space.choices[0]


def _suggested(trial: optuna.Trial, name: str, space: RangeSpace | ChoiceSpace) -> Any:
    if isinstance(space, RangeSpace):
        return trial.suggest_float(name, space.low, space.high, log=space.log)
    # A list is no category to Optuna; its JSON is.
    return json.loads(trial.suggest_categorical(name, [json.dumps(choice) for choice in space.choices]))
