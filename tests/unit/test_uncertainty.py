from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from emofuse.core.apart import dialogue_keys
from emofuse.core.metrics import METRICS, scores, summary
from emofuse.evaluation.uncertainty import Bootstrap

CLASSES = 7
# Frequencies like MELD's, and how likely an answer is right by class.
FREQUENCIES = np.array([0.48, 0.17, 0.12, 0.11, 0.07, 0.03, 0.02])
EASE = np.array([1.25, 1.0, 0.8, 0.9, 0.6, 0.4, 0.3])
LABELS = [str(number) for number in range(CLASSES)]
ROWS = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), st.integers(0, CLASSES - 1), st.integers(0, 5), st.integers(0, 3)),
    min_size=1,
    max_size=60,
)
Sample = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def sample(dialogues: int, seed: int) -> Sample:
    """Dialogue, label and answer of rows whose dialogues differ in mood and in how hard they are."""
    chance = np.random.default_rng([dialogues, seed])
    dialogue = np.repeat(np.arange(dialogues), chance.integers(1, 18, size=dialogues))
    mood = chance.dirichlet(FREQUENCIES * 6, size=dialogues).cumsum(axis=1)[dialogue]
    actual = (chance.random((len(dialogue), 1)) > mood).sum(axis=1).clip(0, CLASSES - 1)
    ease = chance.beta(5, 3, size=dialogues)[dialogue] * EASE[actual]
    guess = chance.choice(CLASSES, size=len(dialogue), p=FREQUENCIES)
    return dialogue, actual, np.where(chance.random(len(dialogue)) < ease, actual, guess)


@settings(max_examples=60)
@given(ROWS)
def test_scores_are_those_of_scikit_learn_on_repeated_rows(rows: list[tuple[int, int, int, int]]) -> None:
    rows = [*rows, (0, 0, 1, 0)]  # at least one row counts
    actual, predicted, weight, _ = (np.array(column) for column in zip(*rows, strict=True))
    weighted = confusion_matrix(actual, predicted, labels=range(CLASSES), sample_weight=weight).astype(float)
    wanted = summary(np.repeat(actual, weight).astype(str), np.repeat(predicted, weight).astype(str))
    assert scores(weighted) == pytest.approx([wanted[name] for name in METRICS], abs=1e-12, rel=0)


@settings(max_examples=60)
@given(ROWS)
def test_a_bootstrap_holds_the_scores_of_its_draws(rows: list[tuple[int, int, int, int]]) -> None:
    actual, predicted, _, dialogue = (np.array(column) for column in zip(*rows, strict=True))
    bootstrap = Bootstrap(dialogue, resamples=3, seed=1)
    found = bootstrap.scores(actual, predicted, CLASSES)
    wanted = summary(actual.astype(str), predicted.astype(str))
    assert found.value == pytest.approx([wanted[name] for name in METRICS], abs=1e-12, rel=0)
    for counts, drawn in zip(bootstrap.counts, found.resampled, strict=True):
        times = counts[bootstrap.codes].astype(int)
        wanted = summary(np.repeat(actual, times).astype(str), np.repeat(predicted, times).astype(str))
        assert drawn == pytest.approx([wanted[name] for name in METRICS], abs=1e-12, rel=0)


def test_a_difference_is_paired() -> None:
    dialogue, actual, predicted = sample(40, seed=0)
    bootstrap = Bootstrap(dialogue, resamples=500, seed=1)
    one = bootstrap.scores(actual, predicted, CLASSES)
    better = predicted.copy()
    better[(better != actual).nonzero()[0][::4]] = actual[(better != actual).nonzero()[0][::4]]
    other = bootstrap.scores(actual, better, CLASSES)
    low, high = (other - one).interval()
    alone = [bound[0] for bound in one.interval()]
    assert 0 < low[0] < high[0]
    assert high[0] - low[0] < (alone[1] - alone[0]) / 2
    assert (other - one).wins()[0] > 0.99
    assert (one - one).wins().tolist() == [0.5] * len(METRICS)
    assert [bound.tolist() for bound in (one - one).interval()] == [[0.0] * len(METRICS)] * 2


def test_the_same_seed_gives_the_same_draws() -> None:
    dialogue, actual, predicted = sample(20, seed=0)
    first, again = (Bootstrap(dialogue, 100, seed=5).scores(actual, predicted, CLASSES).resampled for _ in range(2))
    assert (first == again).all()


def test_one_dialogue_gives_no_interval() -> None:
    found = Bootstrap(["only"] * 4, 10, seed=1).scores(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), CLASSES)
    assert found.to_json() == {"value": 0.75, "low": None, "high": None}


def test_dialogues_of_the_same_name_in_two_splits_are_two() -> None:
    rows = pd.DataFrame({"split": ["dev", "test", "test"], "dialogue": ["0", "0", "0"]})
    assert pd.factorize(dialogue_keys(rows))[0].tolist() == [0, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("dialogues", [60, 280])
def test_an_interval_covers_the_true_score_as_often_as_it_says(dialogues: int) -> None:
    _, actual, predicted = sample(200_000, seed=0)
    true = scores(confusion_matrix(actual, predicted).astype(float))
    covered = []
    for seed in range(500):
        dialogue, actual, predicted = sample(dialogues, seed + 1)
        low, high = Bootstrap(dialogue, 1000, seed).scores(actual, predicted, CLASSES).interval()
        covered.append((low <= true) & (true <= high))
    assert (np.mean(covered, axis=0) >= 0.93).all(), np.mean(covered, axis=0)
    assert (np.mean(covered, axis=0) <= 0.97).all(), np.mean(covered, axis=0)
