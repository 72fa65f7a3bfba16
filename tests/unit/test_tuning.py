"""The search over training params, on scores that are quick to know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from optuna.trial import FrozenTrial, TrialState

from emofuse.core.errors import DataError, ParamsError
from emofuse.core.params import Params, TrainParams, TuneParams
from emofuse.fusion.names import FUSIONS
from emofuse.training.search import changed, ended_trials, importances, open_study, search, setting, study_name

SEED = 13


@pytest.fixture
def tune(params: Params) -> TuneParams:
    space = {name: params.tune.space[name] for name in ("learning_rate", "dropout", "early.hidden")}
    return params.tune.model_copy(update={"trials": 20, "space": space})


def folds(train: TrainParams) -> Iterator[float]:
    """Best with a dropout of 0.3 and a wide network."""
    for fold in range(3):
        yield 1 - abs(train.dropout - 0.3) - 0.1 * (len(train.early.hidden) == 1) - 0.01 * fold


def run(params: Params, tune: TuneParams, storage: Path) -> list[FrozenTrial]:
    study = open_study(storage, study_name(params.train, tune, SEED, "data"))
    search(study, folds, params.train, tune, SEED, lambda trial: None)
    return ended_trials(study)


def test_the_first_trial_is_the_present_params_and_the_best_no_worse(
    params: Params, tune: TuneParams, tmp_path: Path
) -> None:
    trials = run(params, tune, tmp_path / "study.sqlite")
    assert changed(params.train, setting(trials[0])) == params.train
    values = [trial.value for trial in trials if trial.state is TrialState.COMPLETE and trial.value is not None]
    assert max(values) > sum(folds(params.train)) / 3
    assert any(trial.state is TrialState.PRUNED for trial in trials)


def test_every_fusion_can_be_searched() -> None:
    assert get_args(TuneParams.model_fields["model"].annotation) == FUSIONS


class Killed(BaseException):
    """What ends a search in the middle of a trial."""


def test_a_search_that_was_killed_goes_on_to_what_an_undisturbed_one_finds(
    params: Params, tune: TuneParams, tmp_path: Path
) -> None:
    whole = [setting(trial) for trial in run(params, tune, tmp_path / "whole.sqlite")]
    calls = 0

    def deadly(train: TrainParams) -> Iterator[float]:
        nonlocal calls
        calls += 1
        for score in folds(train):
            if calls == 7:
                raise Killed
            yield score

    name = study_name(params.train, tune, SEED, "data")
    with pytest.raises(Killed):
        search(open_study(tmp_path / "cut.sqlite", name), deadly, params.train, tune, SEED, lambda trial: None)
    assert len(ended_trials(open_study(tmp_path / "cut.sqlite", name))) == 6
    assert [setting(trial) for trial in run(params, tune, tmp_path / "cut.sqlite")] == whole


def test_more_trials_go_on_with_the_same_study(params: Params, tune: TuneParams, tmp_path: Path) -> None:
    few = run(params, tune.model_copy(update={"trials": 3}), tmp_path / "study.sqlite")
    more = run(params, tune.model_copy(update={"trials": 5}), tmp_path / "study.sqlite")
    assert [trial.number for trial in more[:3]] == [trial.number for trial in few]
    assert len(more) == 5


def test_what_matters_is_told(params: Params, tune: TuneParams, tmp_path: Path) -> None:
    run(params, tune, tmp_path / "study.sqlite")
    found = importances(open_study(tmp_path / "study.sqlite", study_name(params.train, tune, SEED, "data")))
    assert set(found) == set(tune.space)
    assert sum(found.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "space",
    [
        {"batch_size": {"choices": [32, 48]}},
        {"noise": {"low": 0.001, "high": 0.6, "log": True}, "dropout": {"low": 0.1, "high": 0.5}},
    ],
)
def test_present_params_outside_of_the_space_do_not_stop_a_search(
    params: Params, tmp_path: Path, space: dict[str, Any]
) -> None:
    tune = TuneParams.model_validate({"model": "early", "trials": 1, "space": space})
    present = params.train.model_copy(update={"batch_size": 64, "noise": 0.0, "dropout": 0.3})
    study = open_study(tmp_path / "study.sqlite", "any")
    search(study, lambda _: iter([0.5]), present, tune, SEED, lambda trial: None)
    (trial,) = study.trials
    assert set(setting(trial)) == set(space)
    assert "dropout" not in space or setting(trial)["dropout"] == 0.3


def test_a_space_of_unknown_keys_or_wrong_values_is_a_message(params: Params, tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.sqlite", "any")
    for space, told in (
        ({"dropuot": {"low": 0, "high": 0.5}}, "'dropuot', expected a key below train"),
        ({"dropout": {"low": -1, "high": 0.5}}, "train.dropout = -1"),
    ):
        tune = TuneParams.model_validate({"model": "early", "trials": 1, "space": space})
        with pytest.raises(ParamsError, match=told):
            search(study, folds, params.train, tune, SEED, lambda trial: None)


def test_a_file_that_is_no_study_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "study.sqlite").write_text("no database, but long enough to be taken for one" * 30)
    with pytest.raises(DataError, match="Delete it and run again"):
        open_study(tmp_path / "study.sqlite", "any")
