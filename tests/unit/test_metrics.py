from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, recall_score

from emofuse.core.metrics import METRICS, majority_probabilities, per_class, scores, summary

LABELS = ["anger", "joy", "neutral"]
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=60)


@given(PAIRS)
def test_summary_is_what_the_definitions_say(pairs: list[tuple[str, str]]) -> None:
    actual, predicted = zip(*pairs, strict=True)
    found = summary(actual, predicted)
    f1, weights = [], []
    for label in sorted({*actual, *predicted}):
        true = sum(a == p == label for a, p in pairs)
        f1.append(2 * true / (actual.count(label) + predicted.count(label)))
        weights.append(actual.count(label))
    assert abs(found["accuracy"] - np.mean([a == p for a, p in pairs])) < 1e-12
    assert abs(found["macro_f1"] - np.mean(f1)) < 1e-12
    assert abs(found["weighted_f1"] - np.average(f1, weights=weights)) < 1e-12


@given(PAIRS)
def test_per_class_rows_follow_the_labels_and_count_all(pairs: list[tuple[str, str]]) -> None:
    actual, predicted = zip(*pairs, strict=True)
    table = per_class(actual, predicted, LABELS)
    assert table["label"].tolist() == LABELS
    assert table["support"].sum() == len(pairs)


def test_majority_answers_with_the_training_frequencies() -> None:
    answer = majority_probabilities(["joy", "neutral", "neutral", "neutral"], LABELS, rows=2)
    assert answer.tolist() == [[0, 0.25, 0.75]] * 2


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_unweighted_recall_is_scikit_learns_over_the_classes_that_occur(pairs: list[tuple[int, int]]) -> None:
    actual, predicted = map(list, zip(*pairs, strict=True))
    wanted = recall_score(actual, predicted, labels=sorted(set(actual)), average="macro", zero_division=0)
    found = scores(confusion_matrix(actual, predicted, labels=range(4)).astype(float))[
        METRICS.index("unweighted_recall")
    ]
    assert found == pytest.approx(wanted, abs=1e-12)
