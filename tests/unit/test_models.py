"""Behaviour of the models, from fusion to the predictor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from emofuse.bundle import Bundle, bundle_version, load_bundle, save_bundle
from emofuse.errors import BundleError, DataError
from emofuse.features.scaling import Scaler
from emofuse.fusion.base import Batch, Fusion, balanced
from emofuse.fusion.late import LateFusion
from emofuse.fusion.registry import FUSIONS, MODELS, make_model, model_modalities
from emofuse.params import Params
from emofuse.predictor import Predictor
from emofuse.schema import MODALITIES, Extracted, FeatureTable
from emofuse.training import Rows, class_weights, dialogue_folds, train

DIMS = {"text": 5, "audio": 4, "visual": 3, "metadata": 2}
LABELS = ("anger", "joy", "neutral")


def random_batch(n: int = 40, seed: int = 0, present: float = 0.7) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(n, len(DIMS), generator=generator) < present
    inputs = {
        name: torch.randn(n, width, generator=generator) * mask[:, [index]]
        for index, (name, width) in enumerate(DIMS.items())
    }
    return Batch(inputs, mask)


def fresh(name: str, params: Params) -> Fusion:
    torch.manual_seed(0)
    dims = {modality: DIMS[modality] for modality in model_modalities(name)}
    return make_model(name, dims, len(LABELS), params.train).eval()


@pytest.mark.parametrize("name", FUSIONS)
def test_every_subset_of_modalities_gets_an_answer(name: str, params: Params) -> None:
    model = fresh(name, params)
    subsets = torch.tensor([[bool(bits >> index & 1) for index in range(4)] for bits in range(16)])
    answers = model(random_batch(16, present=1.0).hide(~subsets)).softmax(dim=1)
    assert torch.isfinite(answers).all()
    torch.testing.assert_close(answers.sum(dim=1), torch.ones(16))


@pytest.mark.parametrize("name", FUSIONS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_weights_are_shares_of_the_present_modalities(name: str, seed: int, params: Params) -> None:
    batch = random_batch(seed=seed, present=0.5)
    weights = fresh(name, params).modality_weights(batch)
    assert (weights[~batch.mask] == 0).all()
    torch.testing.assert_close(weights.sum(dim=1), batch.mask.any(dim=1).float())
    assert (weights >= 0).all()


def test_late_fusion_of_one_present_modality_is_its_heads_answer(params: Params) -> None:
    model = fresh("late", params)
    batch = random_batch(present=1.0)
    hidden = torch.ones_like(batch.mask)
    hidden[:, 1] = False
    assert isinstance(model, LateFusion)
    alone = model.heads["audio"](balanced(batch.inputs["audio"])).softmax(dim=1)
    torch.testing.assert_close(model(batch.hide(hidden)).softmax(dim=1), alone)


def test_an_answer_does_not_depend_on_the_other_rows(params: Params) -> None:
    model, batch = fresh("early", params), random_batch()
    torch.testing.assert_close(model(batch)[3:4], model(batch.rows(torch.tensor([3]))))


def separable(n: int = 240, seed: int = 0) -> tuple[Rows, list[str]]:
    """Rows whose class shows in text and, differently, in audio."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 3, (n,), generator=generator)
    batch = random_batch(n, seed, present=1.0)
    batch.inputs["text"][:, :3] += 3 * torch.nn.functional.one_hot(targets, 3)
    batch.inputs["audio"][:, :3] += 2 * torch.nn.functional.one_hot(targets, 3)
    return Rows(batch, targets), [str(index // 6) for index in range(n)]


@pytest.mark.parametrize("name", MODELS)
def test_training_learns_what_can_be_learned(name: str, params: Params) -> None:
    rows, dialogues = separable()
    rows = replace(rows, batch=Batch({m: rows.batch.inputs[m] for m in model_modalities(name)}, rows.batch.mask))
    if len(model_modalities(name)) == 1:
        rows = replace(rows, batch=replace(rows.batch, mask=rows.batch.mask[:, :1]))
    quick = params.train.model_copy(update={"folds": 3, "epochs": 20})
    trained = train(lambda: fresh(name, params), rows, dialogues, quick, seed=1)
    scores = [fold.weighted_f1 for fold in trained.folds]
    learnable = name in (*FUSIONS, "text", "audio")
    assert (np.mean(scores) > 0.75) == learnable
    assert len(trained.members) == 3
    assert sum(fold.rows for fold in trained.folds) == 240


def test_training_twice_gives_the_same_bits(params: Params) -> None:
    quick = params.train.model_copy(update={"folds": 2, "epochs": 3})
    first, second = (
        train(lambda: make_model("late", DIMS, 3, quick), *separable(), params=quick, seed=5).members for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        for key, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), folds=st.integers(2, 5))
def test_no_dialogue_stands_on_both_sides_of_a_fold(seed: int, folds: int) -> None:
    rng = np.random.default_rng(seed)
    dialogues = [str(number) for number in rng.integers(0, 30, 200)]
    targets = rng.integers(0, 4, 200)
    held = []
    for fit, out in dialogue_folds(targets, dialogues, folds, seed):
        assert not {dialogues[i] for i in fit} & {dialogues[i] for i in out}
        held.extend(out)
    assert sorted(held) == list(range(200))


def test_fewer_dialogues_than_folds_is_a_message() -> None:
    with pytest.raises(DataError, match=r"found 2 dialogues in the train split, expected at least train\.folds = 3"):
        list(dialogue_folds(np.array([0, 1]), ["a", "b"], 3, 0))


def test_class_weights_run_from_none_to_full_balance() -> None:
    targets = torch.tensor([0] * 90 + [1] * 10)
    assert class_weights(targets, 2, 0).tolist() == [1, 1]
    full = class_weights(targets, 2, 1)
    assert (full[1] / full[0]).item() == pytest.approx(9)
    assert full[targets].mean().item() == pytest.approx(1)


@pytest.fixture
def bundle(params: Params) -> Bundle:
    return Bundle(
        name="early",
        labels=LABELS,
        features={modality: tuple(f"{modality}_{i}" for i in range(DIMS[modality])) for modality in MODALITIES},
        extractors={modality: params.extractor(modality) for modality in MODALITIES},
        scalers={m: Scaler(np.zeros(d, np.float32), np.ones(d, np.float32), 10.0) for m, d in DIMS.items()},
        train=params.train,
        seed=1,
        members=[fresh("early", params), make_model("early", DIMS, 3, params.train).eval()],
    )


def tables(batch: Batch) -> dict[str, FeatureTable]:
    return {
        name: FeatureTable.stack(
            [f"{name}_{i}" for i in range(DIMS[name])],
            [
                Extracted(row.numpy()) if there else Extracted(None, "gone")
                for row, there in zip(values, batch.mask[:, index], strict=True)
            ],
        )
        for index, (name, values) in enumerate(batch.inputs.items())
    }


def test_a_loaded_bundle_answers_as_the_saved_one(bundle: Bundle, tmp_path: Path) -> None:
    version = save_bundle(bundle, tmp_path / "early")
    back = load_bundle(tmp_path / "early")
    assert back.version == version == bundle_version(tmp_path / "early")
    assert list(back.features) == list(back.extractors) == list(bundle.features)
    there, here = (Predictor(b).probabilities(tables(random_batch()))[0] for b in (back, bundle))
    np.testing.assert_array_equal(there, here)


def test_saving_twice_gives_the_same_bytes(bundle: Bundle, tmp_path: Path) -> None:
    assert save_bundle(bundle, tmp_path / "a") == save_bundle(bundle, tmp_path / "b")
    for name in ("bundle.json", "weights.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_bundle_holds_no_pickle_and_no_path(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path / "early")
    assert sorted(path.name for path in (tmp_path / "early").iterdir()) == ["bundle.json", "weights.safetensors"]
    assert str(tmp_path) not in (tmp_path / "early" / "bundle.json").read_text()


def test_altered_weights_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path)
    weights = load_file(tmp_path / "weights.safetensors")
    weights["scaler.text.mean"] += 1
    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(BundleError, match=r"weights\.safetensors: found sha256 .*, expected"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "found bundle format 99, expected 1; install the release"),
        ({"labels": ["one"]}, "not a bundle of format 1"),
        ({"modalities": ["text", "smell"]}, "not a bundle of format 1"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    bundle: Bundle, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    save_bundle(bundle, tmp_path)
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleError, match=message):
        load_bundle(tmp_path)


def test_a_folder_without_a_bundle_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no such file; expected a bundle folder .* Run `dvc repro`"):
        load_bundle(tmp_path)


def test_probabilities_are_means_over_the_members(bundle: Bundle) -> None:
    batch = tables(random_batch())
    whole = Predictor(bundle).probabilities(batch)[0]
    parts = [Predictor(replace(bundle, members=[member])).probabilities(batch)[0] for member in bundle.members]
    np.testing.assert_allclose(whole, np.mean(parts, axis=0), atol=1e-12)
    np.testing.assert_allclose(whole.sum(axis=1), 1)
