"""Faces through pretrained networks, and all that keeps one from being loaded."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    Dinov2Config,
    Dinov2Model,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from benchmarks.timing import copies
from emofuse.core.errors import ParamsError
from emofuse.core.params import ExtractParams, Params, VisualParams, load_params
from emofuse.core.records import Utterance
from emofuse.extraction.cache import FILE
from emofuse.extraction.content import clip_content
from emofuse.extraction.identity import identity
from emofuse.extraction.run import Task, extract
from emofuse.features.visual.detectors import Detection
from emofuse.features.visual.encoder import chosen_faces, encoded, encoder_groups, face_encoder
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.features.visual.face_tracks import Sighting
from tests.classifiers import SMALL
from tests.pipeline.imports import ROOT

PICTURES = {"image_size": 32, "patch_size": 8}
LABELS = {"id2label": {0: "Joy & fun", 1: "sad"}, "label2id": {"Joy & fun": 0, "sad": 1}}
READER = '{"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'


def saved(folder: Path, kind: str) -> Path:
    torch.manual_seed(0)
    towers = {"text_config": SMALL | {"vocab_size": 99}, "vision_config": SMALL | PICTURES}
    models: dict[str, Any] = {
        "vit": lambda: ViTForImageClassification(ViTConfig(**SMALL, **PICTURES, **LABELS)),
        "dinov2": lambda: Dinov2Model(Dinov2Config(**SMALL, **PICTURES)),
        "clip": lambda: CLIPModel(CLIPConfig(**towers)),
        "resnet": lambda: ResNetForImageClassification(
            ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **LABELS)
        ),
        "bert": lambda: BertModel(BertConfig(**SMALL, vocab_size=99)),
    }
    models[kind]().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(READER)
    return folder


def section(params: Params, folder: Path | str, **changes: Any) -> VisualParams:
    return params.visual.model_copy(update={"encoder": str(folder), "groups": ["pixels"], **changes})


def extracted_to(path: Path, chosen: VisualParams, clips: list[Path], run: ExtractParams) -> bytes:
    """The table of a run of the stage."""
    keys = pd.DataFrame({"split": "train", "dialogue": "0", "utterance": np.arange(len(clips))})
    task = Task("visual", chosen, partial(VisualExtractor, chosen), clip_content)
    extract(task, [Utterance(clip=clip) for clip in clips], keys, path, run)
    return path.read_bytes()


def faces(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 255, (count, 96, 96), np.uint8))


@pytest.mark.parametrize(
    ("kind", "widths", "classes"),
    [("vit", [16, 16, 16], 2), ("dinov2", [16, 16, 16], 0), ("clip", [16, 16, 16], 0), ("resnet", [8, 8, 16], 2)],
)
def test_any_model_of_pictures_gives_its_layers_and_its_classes(
    params: Params, tmp_path: Path, kind: str, widths: list[int], classes: int
) -> None:
    chosen = section(params, saved(tmp_path / kind, kind), layers="all", pooling=["max", "mean"])
    groups = {group.name: group for group in encoder_groups(chosen)}
    assert len(groups["embedding"].columns) == 2 * sum(widths)
    assert len(groups.get("expression", groups["embedding"]).columns) == (classes or 2 * sum(widths))
    [values] = encoded([faces(3)], chosen)
    assert len(values) == 2 * sum(widths) + classes and np.isfinite(values).all()
    if classes:
        assert values[-classes:].sum() == pytest.approx(1, abs=1e-5)
        assert groups["expression"].columns == ("expression_00_joy_fun", "expression_01_sad")
    several = [faces(13)[first:last] for first, last in ((0, 3), (3, 4), (4, 13))]
    alone = [encoded([clip], chosen)[0] for clip in several]
    np.testing.assert_array_equal(encoded(several, chosen), alone)
    [last] = encoded([faces(3)], chosen.model_copy(update={"layers": [-1], "pooling": ["mean"]}))
    np.testing.assert_array_equal(last[: widths[-1]], values[2 * sum(widths) - widths[-1] : 2 * sum(widths)])


def test_a_model_sees_what_the_published_processing_gives(tmp_path: Path) -> None:
    encoder = face_encoder(str(saved(tmp_path, "vit")), "fp32")
    flat = torch.full((1, 3, 32, 32), (200 / 255 - 0.5) / 0.5)
    with torch.inference_mode():
        logits = ViTForImageClassification.from_pretrained(tmp_path).eval()(pixel_values=flat).logits
    _, classes = encoder.states([np.full((96, 96), 200, np.uint8)])
    np.testing.assert_allclose(classes, logits.softmax(dim=1), atol=1e-5)


def test_bf16_is_refused_where_bytes_must_be_the_same(tmp_path: Path) -> None:
    text = (
        Path("params.yaml").read_text(encoding="utf-8").replace("precision: fp32 # of the encoder", "precision: bf16 #")
    )
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match=r"visual\.precision is bf16"):
        load_params(tmp_path / "params.yaml")


def test_the_surest_faces_are_chosen_over_the_whole_clip() -> None:
    patch = np.zeros((144, 144), np.uint8)
    sure = [0.5, 0.9, 0.6, 0.7, 0.4, 0.8, 0.99, 0.3]
    track = [Sighting(n, Detection((0, 0, 9, 9), s), patch, patch, (0, 0, 0), (448, 252)) for n, s in enumerate(sure)]
    assert [sighting.time for sighting in chosen_faces(track, 4)] == [1, 3, 5, 6]
    assert [sighting.time for sighting in chosen_faces(track[:2], 4)] == [0, 1]


@pytest.mark.slow
def test_encoded_faces_are_cached_and_the_same_with_any_number_of_workers(
    corpus: Path, params: Params, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = section(params, saved(tmp_path / "vit", "vit"))
    clips = sorted((corpus / "train_splits").glob("*.mp4"))[:4]
    tables = []
    for workers in (1, 2):
        changes = {"workers": workers, "cache": tmp_path / str(workers)}
        run = ExtractParams.model_validate(params.extract.model_dump() | changes)
        tables.append(extracted_to(tmp_path / "a.parquet", chosen, clips, run))
    assert tables[0] == tables[1]
    capsys.readouterr()
    extracted_to(tmp_path / "a.parquet", chosen, clips, run)
    assert f"{len(clips)} from the cache" in capsys.readouterr().err
    together = VisualExtractor(chosen).extract([Utterance(clip=clip) for clip in clips])
    alone = [next(VisualExtractor(chosen).extract([Utterance(clip=clip)])) for clip in clips]
    for one, other in zip(together, alone, strict=True):
        assert one.reason == other.reason
        np.testing.assert_array_equal(one.values, other.values)
    before = identity("visual", chosen)
    saved(tmp_path / "vit", "dinov2")
    assert identity("visual", chosen) != before != identity("visual", params.visual)


STAGE = """
import sys
from pathlib import Path
from tests.unit.test_face_encoder import extracted_to, section
from emofuse.core.params import ExtractParams, load_params

if __name__ == "__main__":
    folder, engine, workers, cache = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
    params = load_params()
    changes = {"engine": engine, "workers": workers, "cache": folder / cache}
    run = ExtractParams.model_validate(params.extract.model_dump() | changes)
    clips = sorted((folder / "clips").glob("*.mp4"))
    extracted_to(folder / f"{cache}.parquet", section(params, folder / "vit"), clips, run)
"""


@pytest.mark.slow
def test_many_encoded_clips_are_the_same_after_a_kill_with_two_workers_and_on_ray(corpus: Path, tmp_path: Path) -> None:
    saved(tmp_path / "vit", "vit")
    copies(sorted((corpus / "train_splits").glob("*.mp4")), 20, tmp_path / "clips")
    (tmp_path / "stage.py").write_text(STAGE)
    path = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}

    def started(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(tmp_path / "stage.py"), str(tmp_path), *words]
        return subprocess.Popen(command, cwd=ROOT, env=path, stderr=subprocess.PIPE)

    killed = started("processes", "2", "two")
    while not (tmp_path / "two" / FILE).exists() or kept(tmp_path / "two") < 3:
        assert killed.poll() is None
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    before = kept(tmp_path / "two")
    assert 3 <= before < 20 and not (tmp_path / "two.parquet").exists()
    for words in (("processes", "2", "two"), ("processes", "1", "one"), ("ray", "2", "ray")):
        _, messages = (process := started(*words)).communicate(timeout=900)
        assert process.returncode == 0, messages.decode()
        assert words[2] != "two" or f"{before} from the cache" in messages.decode()
    tables = [(tmp_path / f"{name}.parquet").read_bytes() for name in ("two", "one", "ray")]
    assert tables[0] == tables[1] == tables[2]


def kept(cache: Path) -> int:
    """Rows in a cache."""
    with closing(sqlite3.connect(f"file:{cache / FILE}?mode=ro", uri=True, timeout=10)) as entries:
        return int(entries.execute("SELECT count(*) FROM entries").fetchone()[0])
