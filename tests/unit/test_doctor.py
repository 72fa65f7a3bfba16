"""`emofuse doctor`: which step is the first whose bytes differ."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from demo_corpus.build import clip_path, make_clip
from demo_corpus.plan import plan_corpus
from emofuse.cli import app
from emofuse.core.errors import DataError
from emofuse.core.files import read_json, write_json
from emofuse.core.numerics import PINS
from emofuse.core.params import Params
from emofuse.doctor import checks
from emofuse.features.audio import spectrum
from emofuse.fusion import base
from tests.pipeline.imports import ROOT


@pytest.fixture(scope="module")
def fingerprint(corpus: Path, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this code gives for the clips."""
    path = tmp_path_factory.mktemp("doctor") / "fingerprint.json"
    short = params.model_copy(update={"text": params.text.model_copy(update={"layers": [-1]})})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "FINGERPRINT", path)
        checks.write_fingerprint(short, corpus)
    return path


@pytest.fixture
def here(tmp_path: Path, corpus: Path, fingerprint: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the clips and their fingerprint."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/corpus").symlink_to(corpus)
    monkeypatch.setattr(checks, "FINGERPRINT", Path(shutil.copy(fingerprint, tmp_path)))
    return tmp_path


def different(here: Path) -> list[str]:
    return [step.name for step in checks.examine() if not step.same]


def test_what_comes_out_to_the_byte_is_said(here: Path) -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert "every step that was run came out to the byte" in done.output
    for name in PINS["portable"]:
        assert f"{name}=" in done.output


def test_a_kernel_that_rounds_otherwise_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = spectrum.magnitudes
    monkeypatch.setattr(spectrum, "magnitudes", lambda *given: np.nextafter(plain(*given), np.float32(np.inf)))
    assert different(here) == ["audio"]
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "the first step that differs is: audio" in done.output


def test_a_training_step_that_rounds_otherwise_is_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "BLOCK_NORM", np.nextafter(np.float32(base.BLOCK_NORM), np.float32(9)).item())
    assert different(here)[0] == "training, early"


def test_without_the_clips_the_other_steps_are_run(here: Path) -> None:
    (here / "data/corpus").unlink()
    steps = {step.name: step.actual for step in checks.examine()}
    assert [name for name, found in steps.items() if found is None] == ["clips", "audio", "visual"]
    assert "dvc repro corpus" in CliRunner().invoke(app, ["doctor"]).output
    (here / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    message = "no such file; `dvc repro corpus` builds the corpus where ingest.layout is demo"
    assert message in CliRunner().invoke(app, ["doctor", "--update"]).output


def test_the_committed_fingerprint_holds_on_this_machine(tmp_path: Path, params: Params) -> None:
    for line in plan_corpus(params.corpus.dialogues, params.corpus.utterances, params.seed):
        path = clip_path(tmp_path, line)
        if path.relative_to(tmp_path).as_posix() in checks.CLIPS:
            path.parent.mkdir(exist_ok=True)
            make_clip(tmp_path, line, params.seed)
    assert [step.name for step in checks.examine(tmp_path) if not step.same] == []


@pytest.mark.parametrize("change", [{"text": {}}, {"train": {"folds": "many"}}])
def test_a_fingerprint_of_another_release_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    old = read_json(checks.FINGERPRINT)
    write_json(here / "old.json", old | {"params": old["params"] | change})
    monkeypatch.setattr(checks, "FINGERPRINT", here / "old.json")
    with pytest.raises(DataError, match=r"old\.json: its params of the step .* are those of another release"):
        list(checks.examine())
