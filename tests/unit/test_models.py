"""Behaviour of the models, from fusion to the predictor."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sklearn.metrics import f1_score

from emofuse.core.errors import BundleError, DataError
from emofuse.core.params import Params
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import MODALITIES, Extracted, FeatureTable, Utterance
from emofuse.core.tables import utterances
from emofuse.datasets.manifest import build_manifest
from emofuse.features.registry import make_extractor
from emofuse.features.text.extractor import TextExtractor
from emofuse.fusion.base import Batch, Fusion, balanced
from emofuse.fusion.context import OTHER, SAME, UNKNOWN, manifest_lines, utterance_lines
from emofuse.fusion.late import LateFusion
from emofuse.fusion.names import FUSIONS, TRAINED, model_modalities
from emofuse.fusion.objective import Objective, class_weights
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import Scaler
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.inference.description import bundle_version
from emofuse.inference.predictor import Predictor
from emofuse.training.augmentation import augment, draw
from emofuse.training.calibration import apply_temperature, log_pool
from emofuse.training.folds import Origins, member_folds
from emofuse.training.loop import Rows, train
from tests.conftest import ingest

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


def talk(n: int = 12, dialogues: int = 3, seed: int = 0) -> tuple[pd.DataFrame, FeatureTable]:
    """Rows of a manifest in mixed order, with the text features of each."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "split": "dev",
            "dialogue": [str(index % dialogues) for index in range(n)],
            "utterance": [index // dialogues for index in range(n)],
            "position": [index // dialogues for index in range(n)],
            "speaker": [rng.choice(["Ann", "Ben", None]) for _ in range(n)],
        }
    )
    names = tuple(f"text_{index}" for index in range(DIMS["text"]))
    words = rng.normal(size=(n, DIMS["text"])).astype(np.float32)
    return frame, FeatureTable(names, words, np.arange(n) != 4, ("",) * n)


def with_lines(batch: Batch, params: Params) -> Batch:
    frame, words = talk(len(batch.mask))
    scaler = Scaler(np.zeros(DIMS["text"], np.float32), np.ones(DIMS["text"], np.float32), 10.0)
    return replace(batch, context=manifest_lines(frame, words, params.train.attention).scaled(scaler))


def test_lines_are_those_before_in_the_dialogue_nearest_first(params: Params) -> None:
    frame, words = talk()
    shuffled = frame.sample(frac=1, random_state=1)
    lines = manifest_lines(shuffled, words, params.train.attention)
    shuffled = shuffled.reset_index(drop=True)
    for row, (_, asked) in enumerate(shuffled.iterrows()):
        found = [shuffled.loc[index] for index in lines.index[row] if index >= 0]
        assert [line["dialogue"] for line in found] == [asked["dialogue"]] * int(asked["position"])
        assert [line["position"] for line in found] == list(range(int(asked["position"]) - 1, -1, -1))
        for line, who in zip(found, lines.speaker[row], strict=False):
            known = isinstance(asked["speaker"], str) and isinstance(line["speaker"], str)
            assert who == ((SAME if asked["speaker"] == line["speaker"] else OTHER) if known else UNKNOWN)


def test_a_window_bounds_the_lines_and_both_looks_ahead(params: Params) -> None:
    frame, words = talk(9, dialogues=1)
    near = params.train.attention.model_copy(update={"window": 2, "context": "both"})
    lines = manifest_lines(frame, words, near)
    assert lines.index[4].tolist() == [3, 2, 5, 6]
    assert lines.index[0].tolist() == [-1, -1, 1, 2]
    assert lines.index[8].tolist() == [7, 6, -1, -1]
    frame.loc[3, "position"] = None
    assert manifest_lines(frame, words, near).index[3].tolist() == [-1] * 4
    assert manifest_lines(frame, words, near.model_copy(update={"context": "none"})).index.shape == (9, 0)


@pytest.mark.parametrize("nobody", [None, ""])
def test_lines_of_utterances_are_those_of_their_manifest(params: Params, nobody: str | None) -> None:
    frame, _ = talk(24, dialogues=1)
    frame["speaker"] = [name or nobody for name in frame["speaker"]]
    frame["text"] = frame["clean_text"] = [f"line {index}" for index in range(24)]
    frame[["start", "end"]], frame["clip"], frame["dialogue_length"], frame["issues"] = np.nan, None, 24, [[]] * 24

    def read(asked: list[Utterance]) -> FeatureTable:
        return FeatureTable.stack(("number",), [Extracted(np.array([int(u.text.split()[1])])) for u in asked])

    asked = utterances(frame, "clips")
    there, here = (
        manifest_lines(frame, read(asked), params.train.attention),
        utterance_lines(asked, read, params.train.attention),
    )
    np.testing.assert_array_equal(here.index >= 0, there.index >= 0)
    np.testing.assert_array_equal(here.speaker, there.speaker)
    known = here.index >= 0
    np.testing.assert_array_equal(here.words.values[here.index[known]], there.words.values[there.index[known]])


def test_attention_reads_lines_and_answers_without_them(params: Params) -> None:
    model, batch = fresh("attention", params), random_batch(12)
    placed = with_lines(batch, params)
    alone = model(batch)
    first = torch.arange(12) < 3  # each dialogue's first utterance has nothing before it
    told = model(placed)
    torch.testing.assert_close(told[first], model(placed.without_context(torch.ones(12, dtype=torch.bool)))[first])
    assert not torch.allclose(told[~first], model(placed.without_context(torch.ones(12, dtype=torch.bool)))[~first])
    torch.testing.assert_close(alone, model(placed.without_context(torch.ones(12, dtype=torch.bool))))


def test_attention_to_what_was_said_before_does_not_see_what_comes_after(params: Params) -> None:
    model, placed = fresh("attention", params), with_lines(random_batch(12), params)
    before = model(placed)
    assert placed.context is not None
    placed.context.words[9:] += 1  # each dialogue's last line
    torch.testing.assert_close(model(placed), before)
    placed.context.words[:3] += 1  # each dialogue's first
    assert not torch.allclose(model(placed)[3:], before[3:])


@pytest.mark.parametrize("name", FUSIONS)
def test_every_subset_of_modalities_gets_an_answer(name: str, params: Params) -> None:
    model = fresh(name, params)
    subsets = torch.tensor([[bool(bits >> index & 1) for index in range(4)] for bits in range(16)])
    answers = model(random_batch(16, present=1.0).hide(~subsets)).softmax(dim=1)
    assert torch.isfinite(answers).all()
    torch.testing.assert_close(answers.sum(dim=1), torch.ones(16))


@pytest.mark.parametrize("name", FUSIONS)
@settings(max_examples=25)
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


@pytest.mark.parametrize("name", FUSIONS)
def test_an_answer_does_not_depend_on_the_other_rows(name: str, params: Params) -> None:
    model, batch = fresh(name, params), with_lines(random_batch(), params)
    torch.testing.assert_close(model(batch)[3:4], model(batch.rows(torch.tensor([3]))))


def separable(n: int = 240, seed: int = 0) -> tuple[Rows, list[str]]:
    """Rows whose class shows in text and, differently, in audio."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 3, (n,), generator=generator)
    batch = random_batch(n, seed, present=1.0)
    batch.inputs["text"][:, :3] += 3 * torch.nn.functional.one_hot(targets, 3)
    batch.inputs["audio"][:, :3] += 2 * torch.nn.functional.one_hot(targets, 3)
    return Rows(batch, targets), [str(index // 6) for index in range(n)]


@pytest.mark.parametrize("name", TRAINED)
def test_training_learns_what_can_be_learned(name: str, params: Params) -> None:
    rows, dialogues = separable()
    rows = replace(rows, batch=Batch({m: rows.batch.inputs[m] for m in model_modalities(name)}, rows.batch.mask))
    if len(model_modalities(name)) == 1:
        rows = replace(rows, batch=replace(rows.batch, mask=rows.batch.mask[:, :1]))
    quick = params.train.model_copy(update={"folds": 3, "steps": 60})
    trained = train(lambda: fresh(name, params), rows, Origins(dialogues), quick, seed=1)
    scores = [fold.weighted_f1 for fold in trained.folds]
    learnable = name in (*FUSIONS, "text", "audio")
    assert (np.mean(scores) > 0.75) == learnable
    assert len(trained.members) == 3
    assert sum(fold.rows for fold in trained.folds) == 240


@pytest.mark.slow
@pytest.mark.parametrize("withheld", ["text", "audio"])
@pytest.mark.parametrize("name", FUSIONS)
def test_a_withheld_modality_costs_little_more_than_one_never_had(name: str, withheld: str, params: Params) -> None:
    quick = params.train.model_copy(update={"folds": 2, "steps": 100})
    rows, dialogues = separable(480)
    asked, _ = separable(1000, seed=1)
    hidden = torch.tensor([modality == withheld for modality in DIMS])
    never = replace(rows, batch=rows.batch.hide(hidden.expand(480, -1)))
    scores = []
    for trained in (train(lambda: fresh(name, params), part, Origins(dialogues), quick, 1) for part in (rows, never)):
        with torch.inference_mode():
            answers = [m(asked.batch.hide(hidden.expand(1000, -1))).softmax(dim=1) for m in trained.members]
        scores.append(f1_score(asked.targets, torch.stack(answers).mean(dim=0).argmax(dim=1), average="weighted"))
    assert scores[0] > scores[1] - 0.02


@pytest.mark.parametrize("name", FUSIONS)
def test_training_twice_gives_the_same_bits(name: str, params: Params) -> None:
    quick = params.train.model_copy(update={"folds": 2, "epochs": 3, "steps": 1})
    rows, dialogues = separable(120)
    rows = replace(rows, batch=with_lines(rows.batch, params))
    first, second = (
        train(lambda: make_model(name, DIMS, 3, quick), rows, Origins(dialogues), params=quick, seed=5).members
        for _ in range(2)
    )
    for one, other in zip(first, second, strict=True):
        for key, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key


def test_what_is_kept_is_an_average_over_steps(params: Params) -> None:
    rows, dialogues = separable(240)
    quick = params.train.model_copy(update={"folds": 2, "epochs": 20, "steps": 1, "batch_size": 16})
    rough, smooth = (
        train(
            lambda: fresh("early", params),
            rows,
            Origins(dialogues),
            quick.model_copy(update={"averaging": share}),
            seed=1,
        )
        for share in (0.0, 0.3)
    )
    losses = [[epoch.held_out_loss for epoch in kind.history[:20]] for kind in (rough, smooth)]
    jerks = [np.abs(np.diff(loss, n=2)).sum() for loss in losses]
    assert jerks[1] < jerks[0]


@pytest.mark.slow
def test_attention_learns_what_only_the_line_before_tells(params: Params) -> None:
    rows, dialogues = separable(480)
    frame = pd.DataFrame({"split": "train", "dialogue": dialogues, "position": [n % 6 for n in range(480)]})
    frame["speaker"] = "Ann"
    first = torch.arange(480) % 6 == 0
    targets = torch.where(first, rows.targets, rows.targets.roll(1))
    names = tuple(f"text_{index}" for index in range(DIMS["text"]))
    words = FeatureTable(names, rows.batch.inputs["text"].numpy(), np.ones(480, bool), ("",) * 480)
    scaler = Scaler(np.zeros(DIMS["text"], np.float32), np.ones(DIMS["text"], np.float32), 10.0)
    context = manifest_lines(frame, words, params.train.attention).scaled(scaler)
    quick = params.train.model_copy(update={"folds": 2, "steps": 120})
    trained = train(
        lambda: fresh("attention", params),
        Rows(replace(rows.batch, context=context), targets),
        Origins(dialogues),
        quick,
        1,
    )
    assert min(fold.accuracy for fold in trained.folds) > 0.6  # the row's own features tell the first of six


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), folds=st.integers(2, 5))
def test_no_dialogue_stands_on_both_sides_of_a_fold(seed: int, folds: int) -> None:
    rng = np.random.default_rng(seed)
    dialogues = [str(number) for number in rng.integers(0, 30, 200)]
    targets = rng.integers(0, 4, 200)
    held = []
    for fit, out in member_folds(targets, Origins(dialogues), folds, seed):
        assert not {dialogues[i] for i in fit} & {dialogues[i] for i in out}
        held.extend(out)
    assert sorted(held) == list(range(200))


def test_fewer_dialogues_than_folds_is_a_message() -> None:
    with pytest.raises(DataError, match=r"found 2 dialogues in the train split, expected at least train\.folds = 3"):
        list(member_folds(np.array([0, 1]), Origins(["a", "b"]), 3, 0))


def test_class_weights_run_from_none_to_full_balance() -> None:
    targets = torch.tensor([0] * 90 + [1] * 10)
    assert class_weights(targets, 2, 0).tolist() == [1, 1]
    full = class_weights(targets, 2, 1)
    assert (full[1] / full[0]).item() == pytest.approx(9)
    assert full[targets].mean().item() == pytest.approx(1)


def test_held_out_answers_are_of_members_that_never_met_the_dialogue(params: Params) -> None:
    rows, dialogues = separable(120)
    quick = params.train.model_copy(update={"folds": 2, "seeds": 2, "steps": 10, "epochs": 1})
    trained = train(lambda: fresh("early", params), rows, Origins(dialogues), quick, seed=3)
    assert len(trained.members) == 4
    answers = np.zeros((2, 120, 3))
    for shift in range(2):
        splits = member_folds(rows.targets.numpy(), Origins(dialogues), 2, 3 + shift)
        for member, (_, held) in zip(trained.members[2 * shift :], splits, strict=False):
            with torch.inference_mode():
                answer = member.eval()(rows.batch.rows(torch.from_numpy(held))).double().softmax(dim=1)
            answers[shift, held] = answer.numpy()
    np.testing.assert_allclose(trained.held_out, log_pool(answers, [0.5, 0.5]), atol=1e-6)


def objective(params: Params, targets: torch.Tensor, **changes: float) -> Objective:
    plain = {"class_weight": 0.0, "focal_gamma": 0.0, "logit_adjustment": 0.0}
    return Objective.fit(targets, 3, params.train.model_copy(update=plain | changes))


def test_the_objective_is_cross_entropy_unless_told_otherwise(params: Params) -> None:
    logits, targets = torch.randn(30, 3), torch.tensor([0] * 20 + [1] * 8 + [2] * 2)
    plain = torch.nn.functional.cross_entropy(logits, targets)
    torch.testing.assert_close(objective(params, targets).mean(logits, targets), plain)
    weights = class_weights(targets, 3, 0.5)
    weighted = torch.nn.functional.cross_entropy(logits, targets, weight=weights)
    torch.testing.assert_close(objective(params, targets, class_weight=0.5).mean(logits, targets), weighted)


def test_focal_loss_minds_rows_that_are_answered_badly(params: Params) -> None:
    targets = torch.zeros(2, dtype=torch.int64)
    focal, plain = objective(params, targets, focal_gamma=2), objective(params, targets)
    sure, unsure = torch.tensor([[4.0, 0, 0]]), torch.tensor([[0.0, 4, 0]])
    assert focal.total(sure, targets[:1]) < 0.01 * plain.total(sure, targets[:1])
    assert focal.total(unsure, targets[:1]) > 0.9 * plain.total(unsure, targets[:1])


def test_adjusted_logits_need_not_tell_which_classes_are_frequent(params: Params) -> None:
    targets = torch.tensor([0] * 90 + [1] * 9 + [2])
    adjusted = objective(params, targets, logit_adjustment=1.0)
    best = adjusted.mean(torch.zeros(100, 3), targets)  # the frequencies are all that can be known here
    for seed in range(5):
        torch.manual_seed(seed)
        assert best < adjusted.mean(0.5 * torch.randn(3).expand(100, 3), targets)


def test_balanced_sampling_shows_rare_classes_as_often() -> None:
    targets = torch.tensor([0] * 900 + [1] * 100)
    generator = torch.Generator().manual_seed(0)
    assert sorted(draw(targets, None, 0.0, generator).tolist()) == list(range(1000))
    assert targets[draw(targets, None, 1.0, generator)].float().mean().item() == pytest.approx(0.5, abs=0.05)
    groups = torch.arange(1000) % 50
    drawn = groups[draw(targets, groups, 1.0, generator)]
    assert int((drawn[1:] != drawn[:-1]).sum()) == 49  # each dialogue's rows stand side by side


def test_mixup_stays_within_the_class_and_leaves_what_is_absent(params: Params) -> None:
    batch, targets = random_batch(60, present=0.6), torch.arange(60) % 3
    for name in batch.inputs:
        batch.inputs[name][batch.inputs[name].any(dim=1)] += 100 * targets[batch.inputs[name].any(dim=1), None]
    plain = {"modality_dropout": 0.0, "noise": 0.0, "mixup": 1.0}
    mixed = augment(batch, targets, params.train.model_copy(update=plain), torch.Generator().manual_seed(0))
    assert torch.equal(mixed.mask, batch.mask)
    for index, name in enumerate(DIMS):
        there = batch.mask[:, index]
        assert (mixed.inputs[name][~there] == 0).all()
        assert not torch.equal(mixed.inputs[name][there], batch.inputs[name][there])
        assert ((mixed.inputs[name][there].mean(dim=1) / 100).round() == targets[there]).all()


def test_noise_touches_what_is_present_alone(params: Params) -> None:
    batch = random_batch(60)
    plain = {"modality_dropout": 0.0, "noise": 0.5, "mixup": 0.0}
    noisy = augment(batch, torch.zeros(60, dtype=torch.int64), params.train.model_copy(update=plain), torch.Generator())
    for index, name in enumerate(DIMS):
        there = batch.mask[:, index]
        assert (noisy.inputs[name][~there] == 0).all()
        assert (noisy.inputs[name] - batch.inputs[name])[there].std().item() == pytest.approx(0.5, rel=0.3)


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
                Extracted(row.numpy()) if there else Extracted(None, Cause(Reason.OTHER, "gone"))
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
        ({"format": 99}, "found bundle format 99, expected 7; install the release"),
        ({"labels": ["one"]}, "not a bundle of format 7"),
        ({"modalities": ["text", "smell"]}, "not a bundle of format 7"),
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


def test_utterances_with_their_context_are_answered_as_rows_of_the_manifest(corpus: Path, params: Params) -> None:
    manifest, _ = build_manifest(ingest(params, corpus, "demo"), params.seed)
    asked = utterances(manifest, corpus)
    words = TextExtractor(params.text.model_copy(update={"layers": [-1]}))
    table = FeatureTable.stack(words.names, list(words.extract(asked)))
    scaler = Scaler.fit(table, 10.0)
    torch.manual_seed(0)
    member = make_model("attention", {"text": scaler.width}, 3, params.train).eval()
    read, labels = {"text": words.names}, ("a", "b", "c")
    made = Bundle("attention", labels, read, {"text": words.params}, {"text": scaler}, params.train, 1, [member])
    predictor = Predictor(made)
    there = predictor.probabilities({"text": table}, manifest)[0]
    here = np.array([list(answer.probabilities.values()) for answer in predictor.predict(asked)])
    one = [list(predictor.predict([utterance])[0].probabilities.values()) for utterance in asked[:8]]
    np.testing.assert_allclose(here, there, atol=1e-6)
    np.testing.assert_allclose(one, there[:8], atol=1e-5)
    assert not np.allclose(there, predictor.probabilities({"text": table})[0], atol=1e-3)


def test_a_bundle_of_several_kinds_answers_with_the_weighted_pool(
    bundle: Bundle, params: Params, tmp_path: Path
) -> None:
    kinds = ("early", "late", "attention")
    members = [fresh(name, params) for name in kinds]
    mixed = replace(bundle, name="ensemble", members=members, weights=(0.5, 0.3, 0.2), temperature=1.5)
    save_bundle(mixed, tmp_path / "ensemble")
    back = load_bundle(tmp_path / "ensemble")
    assert [member.kind for member in back.members] == list(kinds)
    asked = tables(random_batch())
    parts = [Predictor(replace(bundle, members=[member])).probabilities(asked)[0] for member in members]
    expected = apply_temperature(log_pool(np.stack(parts), mixed.weights), 1.5)
    np.testing.assert_allclose(Predictor(back).probabilities(asked)[0], expected, atol=1e-12)


def test_an_answer_below_the_threshold_says_that_it_is_uncertain(bundle: Bundle, params: Params) -> None:
    torch.manual_seed(0)
    names = make_extractor(params.metadata).names
    scaler = Scaler(np.zeros(len(names), np.float32), np.ones(len(names), np.float32), 10.0)
    member = make_model("metadata", {"metadata": len(names)}, 3, params.train).eval()
    only = replace(
        bundle,
        features={"metadata": names},
        extractors={"metadata": params.metadata},
        scalers={"metadata": scaler},
        members=[member],
    )
    for abstain in (0.0, 0.99):
        asked = replace(only, train=bundle.train.model_copy(update={"abstain": abstain}))
        placed = Utterance(duration=2.0, position=1, dialogue_length=5)
        assert Predictor(asked).predict([placed])[0].uncertain == (abstain > 0)


def test_probabilities_are_pooled_over_the_members(bundle: Bundle) -> None:
    batch = tables(random_batch())
    whole = Predictor(bundle).probabilities(batch)[0]
    parts = [Predictor(replace(bundle, members=[member])).probabilities(batch)[0] for member in bundle.members]
    np.testing.assert_allclose(whole, log_pool(np.stack(parts), [1 / len(parts)] * len(parts)), atol=1e-12)
    np.testing.assert_allclose(whole.sum(axis=1), 1)
