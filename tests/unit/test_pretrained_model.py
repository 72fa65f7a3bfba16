"""A model of classifiers that are not trained here, from a corpus to scored, saved and packaged answers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from emofuse.core.errors import EncoderError, ParamsError
from emofuse.core.files import read_json
from emofuse.core.params import Params
from emofuse.core.paths import MODELS_DIR, PRETRAINED_DIR, REPORTS_DIR
from emofuse.core.records import FeatureTable, Utterance
from emofuse.core.tables import read_all_features, utterances
from emofuse.datasets.manifest import build_manifest
from emofuse.evaluation.met_before import met_before
from emofuse.evaluation.scoring import look_closely, score_models
from emofuse.features.registry import extract_tables
from emofuse.fusion.names import MAJORITY, PRETRAINED
from emofuse.fusion.scaling import fit_scalers
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.inference.description import copy_bundle, finished_models
from emofuse.inference.predictor import Predictor
from emofuse.reporting.model_files import write_evaluation
from emofuse.reporting.model_runs import final_figures, model_run, package_champion
from emofuse.training.bundle_training import train_bundle
from emofuse.training.pool_fitting import FittedPool, fit_pretrained
from tests.classifiers import save_classifiers, with_classifiers
from tests.conftest import ingest


class Made(NamedTuple):
    """A fitted model, and what it was made of."""

    fitted: FittedPool
    manifest: pd.DataFrame
    folder: Path
    params: Params


@pytest.fixture(scope="module")
def small(corpus: Path, params: Params, tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, Params]:
    """The manifest of the small corpus, and params that extract its clips in one process."""
    run = params.extract.model_copy(update={"workers": 1, "cache": tmp_path_factory.mktemp("cache")})
    own = params.model_copy(update={"ingest": ingest(params, corpus, "demo"), "extract": run})
    manifest, _ = build_manifest(own.ingest, params.seed)
    return manifest, own


@pytest.fixture(scope="module")
def made(small: tuple[pd.DataFrame, Params], tmp_path_factory: pytest.TempPathFactory) -> Made:
    manifest, own = small
    names = save_classifiers(tmp_path_factory.mktemp("classifiers"))
    for name in names.values():  # so that their answers differ from row to row
        weights = load_file(Path(name) / "model.safetensors")
        changed = {key: 20 * value if key.startswith("classifier") else value for key, value in weights.items()}
        save_file(changed, Path(name) / "model.safetensors", metadata={"format": "pt"})
    chosen = with_classifiers(own, **names)
    folder = tmp_path_factory.mktemp("said")
    return Made(fit_pretrained(manifest, chosen, folder), manifest, folder, chosen)


def tables_of(made: Made) -> dict[str, FeatureTable]:
    return dict(read_all_features(made.manifest, made.fitted.bundle.features, made.folder))


@pytest.mark.slow
def test_the_model_reads_the_classes_alone_and_is_fitted_on_dev(made: Made) -> None:
    bundle = made.fitted.bundle
    assert {m: len(names) for m, names in bundle.features.items()} == {"text": 7, "audio": 4, "visual": 8}
    assert bundle.features["audio"][0] == "sound_class_00_neu" and bundle.features["visual"][-1].startswith(
        "face_share"
    )
    assert sum(made.fitted.weights.values()) == pytest.approx(1, abs=1e-5)
    assert made.fitted.calibration["log_loss"] <= made.fitted.calibration["log_loss_before"] + 1e-9
    assert read_json(made.folder / "weights.json") == made.fitted.weights
    predictor, dev = Predictor(bundle), (made.manifest["split"] == "dev").to_numpy()
    shuffled = made.manifest.assign(
        label=made.manifest["label"].where(dev, made.manifest["label"].sample(frac=1, random_state=1).values)
    )
    again = fit_pretrained(shuffled, made.params, made.folder)
    assert (again.weights, again.bundle.temperature) == (made.fitted.weights, predictor.bundle.temperature)


@pytest.mark.slow
def test_it_stands_beside_the_other_models_with_features_of_its_own(
    made: Made, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = made.params.ingest.root
    shared = extract_tables(utterances(made.manifest, root), made.params)
    scalers = fit_scalers(made.manifest, shared, made.params.scale)
    quick = made.params.train.model_copy(update={"folds": 2, "epochs": 1, "steps": 1})
    text = train_bundle("text", made.manifest, shared, scalers, made.params.model_copy(update={"train": quick}))
    trained = {"early": Predictor.load(bundle), "text": Predictor(text.bundle)}
    models = trained | {PRETRAINED: Predictor(made.fitted.bundle)}
    own = {PRETRAINED: tables_of(made)}
    metric, evaluate = made.params.evaluate.champion_metric, made.params.evaluate
    scores = score_models(models, made.manifest, shared, metric, own)
    assert set(scores.metrics) == {*models, MAJORITY}
    findings = look_closely(scores, models, made.manifest, shared, evaluate, 0, own)
    assert len(findings["subsets"][PRETRAINED]) == 7 and len(findings["subsets"]["early"]) == 15
    assert findings["weights"][PRETRAINED].keys() == {"text", "audio", "visual"}
    rows = scores.rows
    for number in range(0, len(rows), 3):
        [answer] = models[PRETRAINED].predict(utterances(rows.iloc[[number]], root))
        np.testing.assert_allclose(
            list(answer.probabilities.values()), scores.probabilities[PRETRAINED][number], atol=1e-5
        )
    monkeypatch.chdir(tmp_path)  # where the stages would leave it all
    write_evaluation(REPORTS_DIR, scores, findings)
    shutil.copytree(made.folder, PRETRAINED_DIR)
    for name in ("report.html", "model_card.md"):
        (REPORTS_DIR / name).touch()
    version = save_bundle(made.fitted.bundle, MODELS_DIR / PRETRAINED)
    figures = final_figures(PRETRAINED, scores.metrics[PRETRAINED], scores.classes(), findings)
    run = model_run(PRETRAINED, made.params, figures)
    assert (run.version, run.params["pretrained.text"]) == (version, made.params.pretrained.text)
    assert {name: run.metrics[f"weight/{name}"] for name in made.fitted.weights} == made.fitted.weights
    assert run.metrics["dev/temperature"] == made.fitted.bundle.temperature
    assert run.metrics["test/weighted_f1"] == scores.metrics[PRETRAINED]["test"]["weighted_f1"]
    champion = load_bundle(package_champion(PRETRAINED))
    assert champion.version == version and len(champion.learnt_from.classifiers) == 3


@pytest.mark.slow
def test_it_is_saved_loaded_and_packaged_without_its_classifiers(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / PRETRAINED
    version = save_bundle(made.fitted.bundle, folder)
    assert finished_models(tmp_path)[-1] == PRETRAINED and PRETRAINED not in finished_models(folder)
    copy_bundle(folder, tmp_path / "champion")
    loaded = load_bundle(tmp_path / "champion")
    assert loaded.version == version and [member.kind for member in loaded.members] == [PRETRAINED]
    line = [Utterance(text="What a surprise!")]
    [before], [after] = Predictor(made.fitted.bundle).predict(line), Predictor(loaded).predict(line)
    assert before.probabilities == after.probabilities
    assert after.modalities["text"].weight == 1 and not after.uncertain
    [empty] = Predictor(loaded).predict([Utterance()])
    assert empty.uncertain and len({round(share, 6) for share in empty.probabilities.values()}) == 1


@pytest.mark.slow
def test_weights_that_are_given_are_taken(small: tuple[pd.DataFrame, Params], made: Made, tmp_path: Path) -> None:
    manifest, _ = small
    names = made.params.pretrained.named
    chosen = with_classifiers(
        made.params, text=names["text"], audio=names["audio"], visual=None, weights={"text": 3, "audio": 1}
    )
    fitted = fit_pretrained(manifest, chosen, tmp_path)
    assert fitted.weights == {"text": 0.75, "audio": 0.25}
    assert set(fitted.bundle.features) == {"text", "audio"}


def test_classifiers_that_are_none_and_labels_without_names_are_a_message(
    small: tuple[pd.DataFrame, Params], tmp_path: Path
) -> None:
    manifest, own = small
    names = save_classifiers(tmp_path / "unnamed", words=tuple(f"LABEL_{number}" for number in range(7)))
    with pytest.raises(ParamsError, match=r"pretrained\.text .* doesn't name its classes; say in pretrained\.labels"):
        fit_pretrained(manifest, with_classifiers(own, text=names["text"]), tmp_path / "a")
    with pytest.raises(EncoderError, match=r"'embedded' is no classifier of texts"):
        fit_pretrained(manifest, with_classifiers(own, text="embedded"), tmp_path / "b")
    with pytest.raises(EncoderError, match=r"can't be loaded"):
        fit_pretrained(manifest, with_classifiers(own, visual=str(tmp_path / "nowhere")), tmp_path / "c")
    assert not [path for name in "abc" for path in tmp_path.glob(f"{name}/*")]


def test_a_classifier_that_has_learnt_from_the_very_data_is_warned_of(params: Params) -> None:
    named = with_classifiers(params, text="j-hartmann/emotion-english-distilroberta-base@main").of_results()
    [warning] = met_before(named, "meld", "MELD", {})
    assert warning.startswith("pretrained.text j-hartmann/emotion-english-distilroberta-base@main has learnt from meld")
