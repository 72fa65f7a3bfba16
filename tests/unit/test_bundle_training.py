"""From tables to a bundle in one call, on features whose worth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emofuse.core.errors import DataError
from emofuse.core.params import Params
from emofuse.core.records import MODALITIES, FeatureTable
from emofuse.evaluation.scoring import score_models
from emofuse.fusion.names import ENSEMBLE, MAJORITY
from emofuse.fusion.scaling import fit_scalers
from emofuse.inference.bundle import save_bundle
from emofuse.inference.description import bundle_version
from emofuse.inference.predictor import Predictor
from emofuse.training.bundle_training import make_ensemble, train_bundle, train_bundles
from emofuse.training.calibration import log_pool
from emofuse.training.dataset import training_set
from emofuse.training.record import TrainedBundle, read_held_out, write_training

LABELS = ("anger", "joy", "neutral")
WIDTHS = {"text": 6, "audio": 4, "visual": 3, "metadata": 2}
COUNT = 180


@pytest.fixture(scope="module")
def manifest() -> pd.DataFrame:
    number = np.arange(COUNT)
    chance = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "split": np.select([number < 120, number < 150], ["train", "dev"], "test"),
            "dialogue": (number // 5).astype(str),
            "utterance": number % 5,
            "position": number % 5,
            "speaker": np.where(number % 2, "Ross", "Rachel"),
            "label": pd.Series(chance.choice(LABELS, COUNT)).mask(number % 30 == 7),
        }
    )


@pytest.fixture(scope="module")
def tables(manifest: pd.DataFrame) -> dict[str, FeatureTable]:
    """Features of which `text` tells the label and the rest nothing."""
    chance = np.random.default_rng(6)
    codes = pd.Index(LABELS).get_indexer(manifest["label"].fillna("joy"))
    made = {}
    for modality, width in WIDTHS.items():
        values = chance.normal(size=(COUNT, width)).astype(np.float32)
        if modality == "text":
            values[:, :3] += 4 * np.eye(3, dtype=np.float32)[codes]
        present = chance.random(COUNT) > 0.1
        names = tuple(f"{modality}_{column}" for column in range(width))
        made[modality] = FeatureTable(
            names, values * present[:, None], present, tuple("" if there else "gone" for there in present)
        )
    return made


@pytest.fixture(scope="module")
def quick(params: Params) -> Params:
    train = params.train.model_copy(update={"folds": 2, "epochs": 30, "steps": 12, "batch_size": 32})
    return params.model_copy(update={"train": train})


@pytest.fixture(scope="module")
def trained(manifest: pd.DataFrame, tables: Mapping[str, FeatureTable], quick: Params) -> list[TrainedBundle]:
    scalers = fit_scalers(manifest, tables, quick.scale)
    return [train_bundle(name, manifest, tables, scalers, quick) for name in ("early", "late", "text")]


def test_a_bundle_holds_the_params_and_the_classes_of_the_run(trained: list[TrainedBundle], quick: Params) -> None:
    for each, modalities in zip(trained, (MODALITIES, MODALITIES, ("text",)), strict=True):
        bundle = each.bundle
        assert (bundle.labels, bundle.train, bundle.seed) == (LABELS, quick.train, quick.seed)
        assert bundle.extractors == {modality: quick.extractor(modality) for modality in modalities}
        assert len(bundle.members) == len(each.folds) == 2
        assert (each.held_out.probabilities.argmax(axis=1) == each.held_out.targets).mean() > 0.7, bundle.name


@pytest.mark.slow
def test_models_that_are_trained_side_by_side_are_those_that_are_trained_alone(
    manifest: pd.DataFrame,
    tables: Mapping[str, FeatureTable],
    quick: Params,
    trained: list[TrainedBundle],
    tmp_path: Path,
) -> None:
    scalers = fit_scalers(manifest, tables, quick.scale)
    for each, same in zip(
        train_bundles(("early", "text"), manifest, tables, scalers, quick), trained[::2], strict=True
    ):
        assert save_bundle(each.bundle, tmp_path / "one") == save_bundle(same.bundle, tmp_path / "other")
        np.testing.assert_array_equal(each.held_out.probabilities, same.held_out.probabilities)
        assert (each.folds, each.history) == (same.folds, same.history)


@pytest.mark.slow
def test_one_speaker_is_left_out_at_a_time_when_asked(
    manifest: pd.DataFrame, tables: Mapping[str, FeatureTable], quick: Params
) -> None:
    params = quick.model_copy(update={"train": quick.train.model_copy(update={"folds": "speaker", "seeds": 2})})
    scalers = fit_scalers(manifest, tables, params.scale)
    with pytest.raises(DataError, match="speaker 'Rachel' stands in a group with every other row"):
        train_bundle("text", manifest, tables, scalers, params)
    grouped = manifest.assign(group="speaker " + manifest["speaker"])
    (trained,) = train_bundles(("text",), grouped, tables, scalers, params)
    assert [fold.rows for fold in trained.folds] == [60, 56] * 2
    assert (trained.held_out.probabilities.argmax(axis=1) == trained.held_out.targets).mean() > 0.7


def test_an_ensemble_answers_with_the_weighted_pool_of_its_models(
    manifest: pd.DataFrame, tables: Mapping[str, FeatureTable], trained: list[TrainedBundle]
) -> None:
    parts = trained[:2]
    ensemble = make_ensemble(parts)
    assert list(ensemble.shares) == ["early", "late"]
    assert sum(ensemble.shares.values()) == pytest.approx(1, abs=1e-5)
    pooled = log_pool(np.stack([part.held_out.probabilities for part in parts]), list(ensemble.shares.values()))
    np.testing.assert_allclose(ensemble.held_out.probabilities, pooled)
    plain = [Predictor(replace(part.bundle, temperature=1.0)).probabilities(tables)[0] for part in parts]
    mixed = Predictor(replace(ensemble.bundle, temperature=1.0)).probabilities(tables)[0]
    np.testing.assert_allclose(mixed, log_pool(np.stack(plain), list(ensemble.shares.values())), atol=1e-6)


def test_an_ensemble_with_finetuned_encoders_needs_the_words(trained: list[TrainedBundle]) -> None:
    parts = [replace(each, bundle=replace(each.bundle, finetuned=Path("models/finetuned"))) for each in trained[:2]]
    with pytest.raises(ValueError, match="expected the text features"):
        make_ensemble(parts)


def test_what_training_leaves_makes_the_same_ensemble(
    trained: list[TrainedBundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for each in trained[:2]:
        write_training(each)
    read = [TrainedBundle(each.bundle, read_held_out(each.bundle.name, LABELS)) for each in trained[:2]]
    there, here = make_ensemble(read), make_ensemble(trained[:2])
    assert save_bundle(there.bundle, tmp_path / "there") == save_bundle(here.bundle, tmp_path / "here")
    write_training(there)
    written = {path.parent.name + "/" + path.name for path in (tmp_path / "reports/training").rglob("*.*")}
    assert {"early/curve.csv", "late/held_out.parquet", "ensemble/weights.json", "ensemble/calibration.json"} <= written
    assert "ensemble/curve.csv" not in written


def test_models_are_scored_beside_the_majority_class_and_the_best_on_dev_is_champion(
    manifest: pd.DataFrame, tables: Mapping[str, FeatureTable], trained: list[TrainedBundle]
) -> None:
    everyone = [*trained, make_ensemble(trained[:2])]
    models = {each.bundle.name: Predictor(each.bundle) for each in everyone}
    scores = score_models(models, manifest, tables, "weighted_f1")
    assert set(scores.metrics) == {"early", "late", "text", ENSEMBLE, MAJORITY}
    dev = {name: split["dev"]["weighted_f1"] for name, split in scores.metrics.items()}
    assert dev[scores.champion] == max(dev.values()) > dev[MAJORITY] + 0.3
    assert scores.table().splitlines()[1].split()[:2] == [scores.champion, f"{dev[scores.champion]:.3f}"]
    assert set(scores.predictions["split"]) == {"dev", "test"}


def test_what_a_model_is_trained_on_is_named_by_its_content(
    manifest: pd.DataFrame, tables: Mapping[str, FeatureTable], quick: Params
) -> None:
    scalers = fit_scalers(manifest, tables, quick.scale)

    def digest(manifest: pd.DataFrame = manifest, name: str = "early", **changed: FeatureTable) -> str:
        return training_set(name, manifest, {**tables, **changed}, scalers, quick.train).digest()

    moved = replace(tables["audio"], values=tables["audio"].values + 1)
    other = manifest.assign(label=manifest["label"].where(manifest.index != 3, "joy"))
    regrouped = manifest.assign(dialogue=manifest["dialogue"].replace("1", "99"))
    assert digest() == digest()
    assert len({digest(), digest(audio=moved), digest(other), digest(regrouped), digest(name="late")}) == 5
    assert digest(name="text") == digest(name="text", audio=moved)


def test_no_row_with_anything_sensed_is_a_message(
    manifest: pd.DataFrame, tables: Mapping[str, FeatureTable], quick: Params
) -> None:
    def gone(table: FeatureTable, rows: pd.Series) -> FeatureTable:
        reasons = tuple("no sound" if row else reason for row, reason in zip(rows, table.reasons, strict=True))
        return replace(table, present=table.present & ~rows.to_numpy(), reasons=reasons)

    train = manifest["split"] == "train"
    absent = {modality: gone(table, train) for modality, table in tables.items()} | {"metadata": tables["metadata"]}
    with pytest.raises(DataError, match=r"every one of \d+ labelled training rows .*\n.*text: no sound \(116 rows\)"):
        fit_scalers(manifest, absent, quick.scale)
    some = {**absent, "visual": gone(tables["visual"], train & (manifest.index > 0))}
    assert fit_scalers(manifest, some, quick.scale)["visual"].width == WIDTHS["visual"]


def test_the_version_of_a_bundle_is_read_without_loading_it(trained: list[TrainedBundle], tmp_path: Path) -> None:
    for each in trained:
        assert save_bundle(each.bundle, tmp_path / each.bundle.name) == bundle_version(tmp_path / each.bundle.name)
