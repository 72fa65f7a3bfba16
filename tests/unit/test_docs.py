from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from benchmarks.page import PAGE, RESULTS, page
from emofuse.params import Params
from emofuse.schema import read_json
from tests.pipeline.imports import ROOT


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_results_in_the_readme_are_those_of_the_metrics_file() -> None:
    assert script("generate").results_table() in (ROOT / "README.md").read_text(), "stale: run `make docs`"


def test_the_page_of_features_is_that_of_the_code_and_the_probes(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    features = script("features")
    assert features.PAGE.read_text() == features.page(params), "stale: run `make docs`"


def test_the_page_of_benchmarks_is_that_of_their_results() -> None:
    assert (ROOT / PAGE).read_text() == page(read_json(ROOT / RESULTS)), "stale: run `make bench`"
