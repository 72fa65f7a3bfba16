from __future__ import annotations

import importlib.util

from benchmarks import models
from benchmarks.page import PAGE, RESULTS, page
from emofuse.schema import read_json
from tests.pipeline.imports import ROOT


def test_results_in_the_readme_are_those_of_the_metrics_file() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec and spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.results_table() in (ROOT / "README.md").read_text(), "stale: run `make docs`"


def test_the_page_of_benchmarks_is_that_of_their_results() -> None:
    assert (ROOT / PAGE).read_text() == page(read_json(ROOT / RESULTS)), "stale: run `make bench`"


def test_the_page_of_models_is_that_of_their_results() -> None:
    found = models.page(read_json(ROOT / models.RESULTS))
    assert (ROOT / models.PAGE).read_text() == found, "stale: run `python -m benchmarks.models`"
