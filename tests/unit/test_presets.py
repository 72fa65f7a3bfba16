"""Presets: each valid with the params of the repository, and understood by DVC as it is meant."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from typer.testing import CliRunner

from emofuse.cli import app
from emofuse.core.params import Params, check_params, load_params, read_sections
from emofuse.core.presets import combined, preset_arguments
from tests.pipeline.imports import ROOT

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the params and presets of the repository."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_one_for_each_known_situation() -> None:
    names = {path.stem for path in PRESETS}
    assert names == {"original", "cpu", "gpu-base", "gpu-large", "voice-only", "text-only", "live"}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_dvc_makes_of_the_arguments_the_params_that_the_preset_says(tree: Path, params: Params, path: Path) -> None:
    content = path.read_text()
    assert content.startswith("# ")  # when to take it
    wanted = check_params(combined(read_sections(ROOT / "params.yaml"), yaml.safe_load(content)), path.name)
    assert wanted != params
    arguments = preset_arguments(path.stem)
    assert set(arguments[::2]) == {"-S"}
    assert not any(set(word) & set(" '\"*?$\\") for word in arguments)  # that a shell would take apart
    apply_overrides(tree / "params.yaml", arguments[1::2])
    assert load_params(tree / "params.yaml") == wanted
    assert "# Every knob." in (tree / "params.yaml").read_text()


def test_the_original_has_nothing_that_came_later(tree: Path) -> None:
    apply_overrides(tree / "params.yaml", preset_arguments("original")[1::2])
    params = load_params(tree / "params.yaml")
    assert (params.text.encoder, params.text.source) == ("bert-base-uncased", "clean")
    assert params.text.groups == ["embedding"] and not params.text.finetune.epochs
    assert (params.visual.detector, params.visual.groups) == ("haar", ["edges", "pixels"])
    assert (params.audio.groups, params.audio.n_mfcc) == (["centroid", "mfcc", "zcr"], 20)
    assert params.train.attention.context == "none"


def test_the_command_prints_what_dvc_takes(tree: Path) -> None:
    done = CliRunner().invoke(app, ["preset", "original"])
    assert done.exit_code == 0
    assert done.stdout.startswith("-S text.groups=[embedding] -S text.encoder=bert-base-uncased -S ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text: {encoders: embedded}\ntrain: {epochs: -1}", "2 mistakes; nothing was run"),
        ("text: {encoders: embedded}", "mine.yaml with params.yaml: 1 mistake; nothing was run\n  - text.encoders: "),
        ("text: embedded", "text: found 'embedded'"),
        ("[text]", "expected a mapping of sections"),
        ("", "found NoneType, expected a mapping"),
        (None, "mine: no such preset; expected one of cpu, gpu-base, "),
    ],
)
def test_a_mistake_is_a_message(tree: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tree / "presets/mine.yaml").write_text(content)
    done = CliRunner().invoke(app, ["preset", "mine"])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr and not done.stdout
