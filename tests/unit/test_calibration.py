"""Temperature, pooling and calibration error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from emofuse.training.calibration import (
    apply_temperature,
    calibration_error,
    confidence_bins,
    fit_shares,
    fit_temperature,
    log_loss,
    log_pool,
)


def drawn(rows: int = 4000, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities, and classes drawn by them: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.5, 0.5, 0.5], rows)
    return probabilities, np.array([rng.choice(3, p=row) for row in probabilities])


def test_heat_keeps_the_order_and_one_changes_nothing() -> None:
    probabilities, _ = drawn(100)
    np.testing.assert_allclose(apply_temperature(probabilities, 1), probabilities, atol=1e-9)
    hot = apply_temperature(probabilities, 3)
    assert (hot.argmax(axis=1) == probabilities.argmax(axis=1)).all()
    assert (hot.max(axis=1) < probabilities.max(axis=1)).all()
    np.testing.assert_allclose(hot.sum(axis=1), 1)


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_the_temperature_undoes_what_made_probabilities_too_sure_or_not_sure_enough(wrong: float) -> None:
    probabilities, targets = drawn()
    spoilt = apply_temperature(probabilities, wrong)
    fitted = fit_temperature(spoilt, targets)
    assert fitted == pytest.approx(1 / wrong, rel=0.1)
    assert calibration_error(spoilt, targets) > 0.08
    assert calibration_error(apply_temperature(spoilt, fitted), targets) < 0.03


def test_the_pool_gives_weight_to_what_adds_and_none_to_noise() -> None:
    probabilities, targets = drawn()
    noise, _ = drawn(seed=1)
    shares = fit_shares(np.stack([probabilities, noise]), targets)
    assert shares[0] > 0.95
    assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_no_other_pool_has_less_loss() -> None:
    probabilities, targets = drawn(500)
    rng = np.random.default_rng(2)
    models = np.stack([0.5 * probabilities + 0.5 * rng.dirichlet([1, 1, 1], 500) for _ in range(3)])

    def loss(shares: Sequence[float]) -> float:
        pool = log_pool(models, shares)
        return log_loss(apply_temperature(pool, fit_temperature(pool, targets)), targets)

    best = loss(fit_shares(models, targets))
    for shares in rng.dirichlet([1, 1, 1], 100):
        assert best <= loss(shares) + 1e-6


def test_the_pool_of_many_like_answers_is_as_sure_as_one() -> None:
    probabilities, _ = drawn(100)
    rng = np.random.default_rng(3)
    logits = np.log(probabilities) + rng.normal(0, 0.5, (50, *probabilities.shape))
    members = softmax(logits, axis=2)
    np.testing.assert_allclose(log_pool(members, [0.02] * 50), probabilities, atol=0.1)


def test_calibration_error_is_the_gap_of_confidence_and_accuracy() -> None:
    probabilities = np.tile([0.9, 0.1], (10, 1))
    assert calibration_error(probabilities, np.zeros(10, np.int64)) == pytest.approx(0.1)
    assert calibration_error(probabilities, np.ones(10, np.int64)) == pytest.approx(0.9)


def test_bins_hold_equally_many_rows_from_the_least_confident() -> None:
    confidence = np.random.default_rng(0).random(104)
    bins = confidence_bins(confidence)
    assert [len(rows) for rows in bins] == [11] * 4 + [10] * 6
    assert np.concatenate(bins).tolist() == np.argsort(confidence).tolist()


def test_rows_of_one_confidence_share_a_bin() -> None:
    assert [rows.tolist() for rows in confidence_bins(np.array([0.7, 0.4, 0.7, 0.4, 0.9]))] == [[1, 3], [0, 2], [4]]
    assert len(confidence_bins(np.full(50, 0.4))) == 1
