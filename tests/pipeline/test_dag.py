"""dvc.yaml says what the stages really read."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from emofuse.core.params import RUNTIME, Params, flat
from emofuse.fusion.names import FUSIONS, TRAINED
from tests.pipeline.imports import PACKAGES, ROOT, imported_modules

TRAINED_OUTS = ("models", "reports/training")
DAG: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, Any] = DAG["stages"]


def script(stage: str) -> str:
    module = STAGES[stage]["cmd"].split()[2]
    return module.replace(".", "/") + ".py"


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_the_rooms_that_it_imports_from(stage: str) -> None:
    code = {
        dep
        for dep in STAGES[stage]["deps"]
        if dep.startswith(("src/", "stages/")) or (ROOT / dep / "__init__.py").is_file()
    }
    modules = imported_modules(ROOT / script(stage)) | {script(stage)}
    needed = {module: {dep for dep in code if module == dep or module.startswith(f"{dep}/")} for module in modules}
    assert not [module for module, rooms in needed.items() if not rooms], "modules that no dep holds"
    assert not code - set().union(*needed.values()), "deps that hold nothing of use"


ROOMS = (
    {"core"},
    {"media", "datasets"},
    {"features", "extraction", "transcription", "fetch"},
    {"fusion"},
    {"training"},
    {"inference"},
    {"evaluation"},
    {"reporting", "tracking"},
    {"service"},
    {"cli", "doctor", "__main__", "__init__"},
)


def test_imports_run_one_way_through_the_rooms() -> None:
    level = {room: number for number, rooms in enumerate(ROOMS) for room in rooms}
    package = PACKAGES["emofuse"] / "emofuse"
    wrong = []
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("emofuse."):
                other = str(node.module).split(".")[1]
                if level[other] > level[room]:
                    wrong.append(f"{path.relative_to(package)} imports {node.module}")
    assert wrong == []


def test_the_package_that_is_served_does_not_know_the_built_in_corpus() -> None:
    for path in (PACKAGES["emofuse"] / "emofuse").rglob("*.py"):
        assert "demo_corpus" not in path.read_text(encoding="utf-8"), path
    assert (
        "espeak" not in (ROOT / "requirements-serve.lock").read_text()
    )  # GPL: the Bento and MLflow's models name it not


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_every_section_of_params_that_it_names(stage: str) -> None:
    text = (ROOT / script(stage)).read_text()
    named = {
        node.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("params", "load_params()")
    }
    listed = {entry.split(".")[0] for entry in STAGES[stage].get("params", [])}
    listed |= {"ingest"} if "${ingest.root}" in STAGES[stage]["deps"] else set()
    assert (named & set(Params.model_fields)) - RUNTIME <= listed
    assert not listed & RUNTIME


def test_stages_that_compute_nothing_start_without_the_libraries_that_compute() -> None:
    names = [
        name
        for name in STAGES
        if name not in ("corpus", "audio", "visual", "metadata", "train", "ensemble", "evaluate")
    ]
    code = f"import sys\nfor name in {names}: __import__('stages.' + name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "librosa", "sklearn", "optuna"} & set(done.stdout.split())


def test_packages_hold_no_code_that_deps_would_miss() -> None:
    for name, folder in PACKAGES.items():
        for path in (folder / name).rglob("__init__.py"):
            nodes = ast.parse(path.read_text()).body
            assert all(isinstance(node, ast.Expr) for node in nodes), path


def test_every_trained_model_is_an_out_of_the_stage_train() -> None:
    assert set(STAGES["train"]["outs"]) == {f"{folder}/{name}" for name in TRAINED for folder in TRAINED_OUTS}


def test_dvc_shows_the_metrics_of_every_model() -> None:
    assert DAG["metrics"] == ["reports/metrics"]
    assert {"reports/metrics": {"cache": False}} in STAGES["evaluate"]["outs"]


@pytest.mark.parametrize("stage", ["report", "package"])
def test_what_shows_the_params_depends_on_all_of_them(stage: str, params: Params) -> None:
    assert set(STAGES[stage]["params"]) == {name.split(".")[0] for name in params.of_results()}


def test_a_search_alone_trains_and_tracks_nothing_again() -> None:
    reads = [name for name, stage in STAGES.items() if any(p.split(".")[0] == "tune" for p in stage.get("params", []))]
    assert reads == ["tune"]
    assert not [name for name, stage in STAGES.items() if "reports/tune" in stage["deps"]]


def test_every_param_that_a_bundle_stores_makes_it_anew(bundle: Path, params: Params) -> None:
    described = json.loads((bundle / "bundle.json").read_text())
    stored = flat({**described["extractors"], **{name: described[name] for name in ("train", "seed", "numerics")}})
    assert len(stored) > 40 and set(stored) <= set(params.of_results())
    listed = STAGES["train"]["params"]
    assert [name for name in stored if not any(name == one or name.startswith(f"{one}.") for one in listed)] == []
    # The ensemble's come with the models that it is made of.
    assert {f"models/{name}" for name in FUSIONS} <= set(STAGES["ensemble"]["deps"])


@pytest.mark.parametrize("stage", ["ensemble", "evaluate", "package"])
def test_what_loads_a_bundle_depends_on_the_finetuned_encoders_that_it_refers_to(stage: str) -> None:
    assert "models/finetuned" in STAGES[stage]["deps"]


def test_stages_are_scripts() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "stages").glob("*.py")}
    assert max(lengths.values()) <= 40, lengths
    assert sum(lengths.values()) <= 540
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 300


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("drawn", ["training/{}/curve.csv", "evaluation/{}/confusion.csv", "evaluation/{}/subsets.csv"])
def test_every_fusion_is_drawn_by_dvc(fusion: str, drawn: str) -> None:
    files = {file for plot in DAG["plots"] for content in plot.values() for file in content["y"]}
    assert f"reports/{drawn.format(fusion)}" in files
    assert f"reports/evaluation/{fusion}/reliability.csv" in files
