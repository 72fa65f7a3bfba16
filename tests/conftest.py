"""Fixtures: real clips, made once a session."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from demo_corpus.build import build_corpus
from emofuse.core.params import IngestParams, Params, load_params
from tests.pipeline.imports import ROOT

SEED = 13


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


@pytest.fixture
def meld_copy(corpus: Path, tmp_path: Path) -> Path:
    """A copy of the small corpus that a test may harm."""
    return Path(shutil.copytree(corpus, tmp_path / "meld"))


@pytest.fixture(scope="session")
def bundle(corpus: Path, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an early fusion trained for a moment on the small corpus, extractors and all."""
    from emofuse.core.records import MODALITIES, FeatureTable
    from emofuse.core.tables import label_order, utterances
    from emofuse.datasets.manifest import build_manifest
    from emofuse.features.registry import make_extractor
    from emofuse.fusion.inputs import make_batch
    from emofuse.fusion.registry import make_model
    from emofuse.fusion.scaling import Scaler
    from emofuse.fusion.trained_model import Bundle
    from emofuse.inference.bundle import save_bundle
    from emofuse.training.loop import Rows, train

    manifest, _ = build_manifest(ingest(params, corpus, "demo"), params.seed)
    rows = manifest[manifest["split"] == "train"]
    labels = label_order(manifest)
    asked = utterances(rows, corpus)
    extractors = {modality: make_extractor(params.extractor(modality)) for modality in MODALITIES}
    tables = {m: FeatureTable.stack(e.names, list(e.extract(asked))) for m, e in extractors.items()}
    scalers = {m: Scaler.fit(table, params.scale.clip, params.scale.projection.items()) for m, table in tables.items()}
    quick = params.train.model_copy(update={"folds": 2, "epochs": 2, "steps": 1})
    targets = torch.tensor([labels.index(label) for label in rows["label"]])
    dims = {m: scaler.width for m, scaler in scalers.items()}
    trained = train(
        make=lambda: make_model("early", dims, len(labels), quick),
        rows=Rows(make_batch(tables, scalers, MODALITIES), targets),
        dialogues=rows["dialogue"].tolist(),
        params=quick,
        seed=params.seed,
    )
    folder = tmp_path_factory.mktemp("models") / "early"
    features = {m: table.names for m, table in tables.items()}
    sections = {m: params.extractor(m) for m in MODALITIES}
    save_bundle(
        Bundle("early", tuple(labels), features, sections, scalers, quick, params.seed, trained.members), folder
    )
    return folder
