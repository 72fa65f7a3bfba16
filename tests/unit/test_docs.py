from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from benchmarks import models
from benchmarks.page import PAGE, RESULTS, page
from emofuse.core.params import Params
from emofuse.core.tables import read_json
from tests.pipeline.imports import ROOT


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_features_is_that_of_the_code_and_the_probes(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    features = script("features")
    assert features.PAGE.read_text() == features.page(params), "stale: run `make docs`"


def test_tables_in_the_docs_are_those_of_the_metric_files() -> None:
    generate = script("generate")
    files = read_json(ROOT / generate.METRICS), read_json(ROOT / generate.INTERVALS)
    for path, parts in generate.tables(*files).items():
        text = (ROOT / path).read_text()
        for name, content in parts.items():
            assert generate.filled(text, name, content) == text, f"{path}, {name}: stale: run `make docs`"
            assert f"<!-- {name} -->\n{content}\n<!-- /{name} -->" in text


def test_pictures_in_the_docs_are_those_of_the_metric_files() -> None:
    generate = script("generate")
    for path, drawn in generate.pictures(read_json(ROOT / generate.INTERVALS)).items():
        assert (ROOT / path).read_text() == drawn, f"{path}: stale: run `make docs`"


def test_the_metric_files_are_of_one_run() -> None:
    generate = script("generate")
    metrics, intervals = read_json(ROOT / generate.METRICS), read_json(ROOT / generate.INTERVALS)
    assert intervals["champion"] == metrics.pop("champion")
    for name, splits in metrics.items():
        for split, scores in splits.items():
            for metric, value in scores.items():
                assert intervals["scores"][split][name][metric]["value"] == pytest.approx(value, abs=1e-6)


def test_the_page_of_benchmarks_is_that_of_their_results() -> None:
    assert (ROOT / PAGE).read_text() == page(read_json(ROOT / RESULTS)), "stale: run `make bench`"


def test_the_page_of_models_is_that_of_their_results() -> None:
    found = models.page(read_json(ROOT / models.RESULTS))
    assert (ROOT / models.PAGE).read_text() == found, "stale: run `python -m benchmarks.models`"
