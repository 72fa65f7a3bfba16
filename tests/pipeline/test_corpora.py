"""Every corpus that is known by name, from a tree of its file names to a champion that is served."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emofuse.core.params import Params
from emofuse.core.tables import utterances
from emofuse.datasets.manifest import build_manifest, refuse_unfoldable
from emofuse.evaluation.scoring import score_models
from emofuse.features.registry import extract_tables
from emofuse.fusion.scaling import fit_scalers
from emofuse.inference.bundle import save_bundle
from emofuse.inference.predictor import Predictor
from emofuse.service.app import create_app
from emofuse.service.endpoints import Served
from emofuse.training.bundle_training import train_bundle
from tests.conftest import SEED, ingest
from tests.corpora import MAKERS

SETS = {"ravdess": "actor08", "emodb": "speaker16", "savee": "DC", "tess": "YAF", "iemocap": "session5"}
APART = {"tess": "row"}  # of two speakers nothing can be cut by speaker


def small(params: Params) -> Params:
    """The repository's params with a training of moments and the quick features."""
    train = params.train.model_copy(update={"folds": 2, "epochs": 4, "steps": 8})
    audio = params.audio.model_copy(update={"groups": ["centroid", "mfcc", "zcr"]})
    text = params.text.model_copy(update={"layers": [-1]})
    return params.model_copy(update={"train": train, "audio": audio, "text": text})


@pytest.mark.slow
@pytest.mark.parametrize("layout", MAKERS)
def test_a_tree_of_its_names_becomes_a_served_champion(params: Params, tmp_path: Path, layout: str) -> None:
    root, params = tmp_path / "root", small(params)
    MAKERS[layout](root)
    manifest, _ = build_manifest(
        ingest(params, root, layout, set=SETS.get(layout), apart=APART.get(layout, "auto")), SEED
    )
    refuse_unfoldable(manifest, params.train.folds, root)
    tables = extract_tables(utterances(manifest, root), params)
    scalers = fit_scalers(manifest, tables, params.scale)
    modality = "text" if layout == "emorynlp" else "audio"
    trained = [train_bundle(name, manifest, tables, scalers, params).bundle for name in ("early", modality)]
    models = {bundle.name: Predictor(bundle) for bundle in trained}
    scores = score_models(models, manifest, tables, params.evaluate.champion_metric)
    assert scores.metrics[scores.champion]["test"]["accuracy"] > scores.metrics["majority"]["test"]["accuracy"]
    save_bundle(models[scores.champion].bundle, tmp_path / "champion")
    row = manifest[(manifest["split"] == "test") & manifest["label"].notna()].iloc[0]
    parts = {"utterance": (None, row["text"])} if row["text"] else {}
    sound = {"audio": ("a.wav", (root / row["clip"]).read_bytes())} if row["clip"] else {}
    with TestClient(create_app(lambda: Served(Predictor.load(tmp_path / "champion"), {}, ""), params.serve)) as client:
        answer = client.post("/predict", files=parts | sound)
    assert answer.status_code == 200, answer.text
    assert answer.json()["label"] in set(manifest["label"].dropna())
    assert answer.json()["modalities"][modality]["present"]
