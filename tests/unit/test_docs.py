from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from benchmarks import models, original, size
from benchmarks.page import PAGE, RESULTS, page
from emofuse.core.files import read_json
from emofuse.core.params import Params
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


def test_the_stages_in_the_docs_are_those_of_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    generate = script("generate")
    drawn = generate.dag()
    for path in (generate.README, generate.ARCHITECTURE):
        assert f"<!-- dag -->\n{drawn}\n<!-- /dag -->" in path.read_text(), f"{path}: stale: run `make docs`"


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


def test_the_table_of_sizes_is_that_of_its_results() -> None:
    text = (ROOT / size.PAGE).read_text()
    assert size.table(read_json(ROOT / size.RESULTS)) in text, "stale: run `python -m benchmarks.size`"


def test_the_table_of_the_original_system_is_that_of_its_results() -> None:
    text = (ROOT / original.PAGE).read_text()
    assert original.table(read_json(ROOT / original.RESULTS)) in text, "stale: run `python -m benchmarks.original`"


def pair(first: str, second: str, low: float, high: float) -> dict[str, object]:
    return {"model": first, "against": second, "value": (low + high) / 2, "low": low, "high": high, "wins": 0.5}


def test_the_claim_is_judged_by_intervals_whichever_way_round_a_difference_was_written() -> None:
    claim = script("generate").claim
    lost = {"value": -0.1, "low": -0.2, "high": -0.05}
    written = {
        "scores": {"dev": {"early": {"weighted_f1": {"value": 0.5}}}},
        "subsets": {"early": [{"modalities": ["text", "metadata"]}, {"modalities": ["text"], "lost": lost}]},
        "differences": [pair("text", "visual", 0.1, 0.3), pair("audio", "text", -0.4, -0.2)],
    }
    told = claim(written)
    assert "hold: text alone is stronger than visual alone (+0.200 weighted F1); text alone is stronger than" in told
    assert "the other way round: early is better with metadata than without (−0.100 weighted F1)" in told
    written["differences"] = [pair("audio", "visual", -0.1, 0.2)]
    assert "These stay open" in claim(written) and "visual alone is stronger than audio alone (−0.050" in claim(written)
    written["subsets"] = {"early": [{"modalities": ["text"]}]}
    written["differences"] = [pair("visual", "audio", 0.1, 0.2)]
    assert "holds here" in claim(written)
    written["differences"] = []
    assert "can't be tested" in claim(written)
