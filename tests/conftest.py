"""Fixtures: real clips, made once a session."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import settings

from demo_corpus.build import build_corpus
from emofuse.core.params import IngestParams, Params, load_params
from tests.pipeline.imports import ROOT

SEED = 13
settings.register_profile("emofuse", deadline=None)  # a busy machine is no fault of what is tested
settings.load_profile("emofuse")


@pytest.fixture(scope="session")
def params() -> Params:
    """The params.yaml of the repository."""
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small built-in corpus."""
    root = tmp_path_factory.mktemp("data") / "corpus"
    build_corpus(root, dialogues=6, utterances=24, seed=13)
    return root


def write_clip(
    path: Path,
    seconds: float = 1.0,
    fps: int = 24,
    size: tuple[int, int] = (160, 90),
    tone: float | None = 220.0,
    video: bool = True,
    codec: str = "aac",
) -> Path:
    """Write a clip of a brightening gray field with a sine tone (or none)."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=fps) if video else None
        sound = container.add_stream(codec, rate=16000, layout="mono") if tone else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
            count = round(seconds * fps)
            for number in range(count):
                shade = np.full((size[1], size[0], 3), 255 * number // max(count - 1, 1), np.uint8)
                container.mux(picture.encode(av.VideoFrame.from_ndarray(shade, format="rgb24")))
            container.mux(picture.encode())
        if sound is not None and tone is not None:
            wave = 0.5 * np.sin(2 * np.pi * tone * np.arange(round(seconds * 16000)) / 16000)
            frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(sound.encode(frame))
            container.mux(sound.encode())
    return path


def ingest(params: Params, root: Path, layout: str, **changes: Any) -> IngestParams:
    """The repository's ingest params for other data."""
    content = params.ingest.model_dump() | {"root": root, "layout": layout}
    content["table"] = content["table"] | changes.pop("table", {})
    return IngestParams.model_validate(content | changes)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A clip of a second, without a face."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4").read_bytes()


def tiny_encoder(folder: Path) -> None:
    """Write a text encoder of two layers, sixteen wide, that no one has trained."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    from emofuse.features.text.encoder import embedded_folder

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def tiny_classifier(folder: Path, labels: Sequence[str]) -> None:
    """Write a classifier of texts of two layers, sixteen wide, that no one has trained."""
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from emofuse.features.text.encoder import embedded_folder

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(embedded_folder())
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: n for n, label in enumerate(labels)}}
    BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **shape, **names)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture
def meld_copy(corpus: Path, tmp_path: Path) -> Path:
    """A copy of the small corpus that a test may harm."""
    return Path(shutil.copytree(corpus, tmp_path / "meld"))


@pytest.fixture(scope="session")
def bundle(corpus: Path, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an early fusion trained for a moment on the small corpus, extractors and all."""
    from emofuse.core.tables import utterances
    from emofuse.datasets.about import describe_data
    from emofuse.datasets.manifest import build_manifest
    from emofuse.features.registry import extract_tables
    from emofuse.fusion.scaling import fit_scalers
    from emofuse.inference.bundle import save_bundle
    from emofuse.training.bundle_training import train_bundle

    own = ingest(params, corpus, "demo")
    manifest, _ = build_manifest(own, params.seed)
    tables = extract_tables(utterances(manifest, corpus), params)
    scalers = fit_scalers(manifest, tables, params.scale)
    quick = params.train.model_copy(update={"folds": 2, "epochs": 2, "steps": 1})
    changed, learnt_from = params.model_copy(update={"train": quick}), describe_data(manifest, own)
    trained = train_bundle("early", manifest, tables, scalers, changed, learnt_from=learnt_from)
    folder = tmp_path_factory.mktemp("models") / "early"
    save_bundle(trained.bundle, folder)
    return folder
