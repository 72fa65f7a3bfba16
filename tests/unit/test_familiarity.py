"""Inputs unlike all that a model was trained on are marked, others seldom."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from emofuse.core.errors import BundleError
from emofuse.core.records import Utterance
from emofuse.fusion.base import Batch
from emofuse.fusion.familiarity import ALARMS, COMPONENTS, FIT_ROWS, Familiarity, Moments
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.inference.offline import as_line
from emofuse.inference.predictor import Predictor
from tests.conftest import write_clip

WIDTHS = {"text": 300, "audio": 40, "metadata": 2}


def drawn(count: int, width: int, seed: int) -> NDArray[np.float32]:
    """Rows that vary along a few directions, and a little along all."""
    axes = np.random.default_rng(width).normal(size=(5, width))
    chance = np.random.default_rng(seed)
    rows: NDArray[np.float32] = (
        chance.normal(size=(count, 5)) @ axes + 0.3 * chance.normal(size=(count, width))
    ).astype(np.float32)
    return rows


@pytest.fixture(scope="module")
def familiarity() -> Familiarity:
    """Of 400 rows; another 200 were held out, a tenth of them without sound."""
    moments = {name: Moments.fit(drawn(400, width, 1)) for name, width in WIDTHS.items()}
    held_out = {name: moments[name].distance(drawn(200, width, 2)) for name, width in WIDTHS.items()}
    held_out["audio"][::10] = np.nan
    return Familiarity.fit(moments, held_out)


def batch(rows: Mapping[str, NDArray[np.float32]]) -> Batch:
    count = len(next(iter(rows.values())))
    return Batch(
        {name: torch.from_numpy(each) for name, each in rows.items()}, torch.ones(count, len(rows), dtype=torch.bool)
    )


def test_new_rows_of_the_same_kind_are_seldom_marked(familiarity: Familiarity) -> None:
    marked = familiarity.beyond(batch({name: drawn(1000, width, 3) for name, width in WIDTHS.items()}))
    assert 0 < familiarity.false_alarms <= ALARMS
    assert marked.any(axis=1).mean() <= 0.05
    assert (marked.mean(axis=0) < 0.03).all()


@given(st.integers(0, 10**6))
@settings(max_examples=100)
def test_no_more_is_marked_where_modalities_are_absent(seed: int) -> None:
    chance = np.random.default_rng(seed)
    distances = {name: chance.normal(size=34) for name in "abc"}
    for each in distances.values():
        each[1:][chance.random(33) < chance.random()] = np.nan
    moments = {name: Moments.fit(drawn(34, 2, 1)) for name in distances}
    assert Familiarity.fit(moments, distances).false_alarms <= ALARMS


def test_rows_that_differ_where_no_training_row_did_are_marked(familiarity: Familiarity) -> None:
    rows = {name: drawn(100, width, 4) for name, width in WIDTHS.items()}
    rows["audio"] += np.random.default_rng(9).normal(size=WIDTHS["audio"]).astype(np.float32)
    marked = familiarity.beyond(batch(rows))
    assert marked[:, 1].all() and marked[:, [0, 2]].mean() < 0.05


def test_what_is_absent_is_not_marked(familiarity: Familiarity) -> None:
    far = batch({name: drawn(10, width, 4) + 50 for name, width in WIDTHS.items()})
    assert familiarity.beyond(far).all()
    hidden = torch.zeros_like(far.mask)
    hidden[:5, 0] = True
    assert (familiarity.beyond(far.hide(hidden)) == ~hidden.numpy()).all()
    other = Familiarity({"text": familiarity.moments["text"]}, familiarity.thresholds, 0.0)
    assert other.beyond(far)[:, 0].all() and not other.beyond(far)[:, 1:].any()


def test_a_distance_is_the_same_whatever_the_batch(familiarity: Familiarity) -> None:
    for name, width in WIDTHS.items():
        rows = drawn(33, width, 5)
        one_by_one = np.concatenate([familiarity.moments[name].distance(row[None]) for row in rows])
        assert (familiarity.moments[name].distance(rows) == one_by_one).all()


def test_moments_are_of_few_numbers_and_hold_no_row() -> None:
    rows = drawn(3 * FIT_ROWS, 90, 6)
    moments = Moments.fit(rows)
    assert moments.components.shape == (90, COMPONENTS)
    assert moments.components.T @ moments.components == pytest.approx(np.eye(COMPONENTS), abs=1e-5)
    assert (Moments.fit(rows).components == moments.components).all()
    assert np.median(moments.distance(rows)) == pytest.approx(1, abs=0.2)


def test_with_rows_too_few_for_an_alarm_none_of_them_is_beyond() -> None:
    moments = {"audio": Moments.fit(drawn(8, 40, 1))}
    held_out = {"audio": moments["audio"].distance(drawn(8, 40, 2))}
    fitted = Familiarity.fit(moments, held_out)
    assert fitted.false_alarms == 0
    assert fitted.thresholds["audio"] == held_out["audio"].max()


def test_a_bundle_brings_it_back(bundle: Path, tmp_path: Path) -> None:
    loaded = load_bundle(bundle)
    assert loaded.familiarity is not None and set(loaded.familiarity.thresholds) == set(loaded.features)
    save_bundle(loaded, tmp_path / "again")
    assert (tmp_path / "again" / "bundle.json").read_bytes() == (bundle / "bundle.json").read_bytes()
    weights = load_file(bundle / "weights.safetensors")
    assert sum(value.nbytes for name, value in weights.items() if name.startswith("moments.")) < 2e6


def test_a_bundle_whose_moments_are_of_another_width_is_refused(bundle: Path, tmp_path: Path) -> None:
    weights = load_file(bundle / "weights.safetensors")
    weights["moments.audio.mean"] = weights["moments.audio.mean"][1:].copy()
    save_file(weights, tmp_path / "weights.safetensors")
    described = json.loads((bundle / "bundle.json").read_text())
    described["weights_sha256"] = hashlib.sha256((tmp_path / "weights.safetensors").read_bytes()).hexdigest()
    (tmp_path / "bundle.json").write_text(json.dumps(described))
    with pytest.raises(BundleError, match="familiarity names other modalities or widths"):
        load_bundle(tmp_path)


def test_an_answer_names_what_is_unfamiliar(bundle: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(bundle)
    noise = write_clip(tmp_path / "a.wav", video=False, tone=3000.0, codec="pcm_s16le")
    answer = predictor.predict([Utterance(clip=noise)])[0]
    assert answer.unfamiliar is True and answer.modalities["audio"].unfamiliar
    assert "unfamiliar audio" in as_line({"clip": "a.wav"}, answer.to_json(), json_lines=False)
    nothing = predictor.predict([Utterance()])[0]
    assert nothing.unfamiliar is False and not any(use.unfamiliar for use in nothing.modalities.values())
