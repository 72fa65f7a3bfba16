"""Models in one table, wherever their answers come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from emofuse.cli import app
from emofuse.core.errors import DataError
from emofuse.core.files import write_json
from emofuse.evaluation.comparison import compare
from emofuse.evaluation.sources import ModelAnswers, read_source
from emofuse.reporting.comparison_page import comparison_lines, write_comparison
from tests.pipeline.imports import ROOT

COUNT = 120


def answers(wrong: Sequence[int] = (), split: str = "test", rows: int = COUNT) -> pd.DataFrame:
    """Rows of which these are answered wrong."""
    numbers = range(rows)
    labels = ["joy" if number % 3 else "anger" for number in numbers]
    predicted = [("anger" if label == "joy" else "joy") if n in wrong else label for n, label in enumerate(labels)]
    keys = {"split": split, "dialogue": [str(number // 4) for number in numbers], "utterance": list(numbers)}
    return pd.DataFrame({**keys, "label": labels, "predicted": predicted})


def no_run(run: str, path: str) -> Path:
    raise AssertionError("no run was asked for")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with the answers of two models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "reports").mkdir()
    both = pd.concat([answers().assign(model="early"), answers(range(0, COUNT, 5)).assign(model="late")])
    both.to_parquet(tmp_path / "reports/predictions.parquet")
    write_json(tmp_path / "reports/metrics.json", {"champion": "early"})
    return tmp_path


def test_the_difference_is_of_the_rows_that_both_have() -> None:
    short = answers(range(0, 60, 2), rows=60)
    found = compare([ModelAnswers("one", answers()), ModelAnswers("two", short)], "test", 200, 1)
    assert (found.rows, found.left_out, found.groups, found.drawn) == (60, 60, 15, "dialogues")
    apart = found.difference("two", "one")
    assert apart is not None
    assert apart["high"] < 0 and apart["wins"] == 0
    assert found.scores["one"]["accuracy"] == {"value": 1, "low": 1, "high": 1}
    assert found.scores["two"]["accuracy"]["value"] == 0.5
    assert any("60 rows left out" in note for note in found.notes())


def test_rows_with_different_labels_are_left_out() -> None:
    other = answers()
    other.loc[:3, "label"] = "neutral"
    found = compare([ModelAnswers("one", answers()), ModelAnswers("two", other)], "test", 200, 1)
    assert (found.rows, found.left_out) == (COUNT - 4, 4)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (
            [ModelAnswers("one", answers()), ModelAnswers("two", answers(split="dev"))],
            "found no labelled test row .* a split of dev, test",
        ),
        ([ModelAnswers("one", answers()), ModelAnswers("one", answers())], "expected at least two different ones"),
        ([ModelAnswers("one", answers())], "expected at least two"),
    ],
)
def test_what_can_not_be_compared_is_refused(sources: list[ModelAnswers], message: str) -> None:
    with pytest.raises(DataError, match=message):
        compare(sources, "test", 200, 1)


def test_a_name_stands_for_the_champion_or_the_model_after_the_colon(folder: Path) -> None:
    assert [read_source(asked, no_run).name for asked in ("workspace", "workspace:late")] == [
        "workspace:early",
        "workspace:late",
    ]
    elsewhere = folder / "elsewhere.parquet"
    answers().assign(model="attention").to_parquet(elsewhere)
    assert read_source(str(elsewhere), no_run).name == f"{elsewhere}:attention"
    assert read_source("0" * 32, lambda run, path: elsewhere).name == "00000000:attention"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("workspace:lat", "found no answers of model lat, expected one of early, late"),
        ("gone/predictions.parquet", "no such file; expected `workspace`"),
        ("params.yaml", "can't be read as Parquet; expected `workspace`"),
        ("other.parquet", "found no column model, predicted, so it holds no answers"),
    ],
)
def test_what_a_name_does_not_stand_for_is_refused(folder: Path, asked: str, message: str) -> None:
    answers().drop(columns="predicted").to_parquet("other.parquet")
    with pytest.raises(DataError, match=message):
        read_source(asked, no_run)


def test_the_command_prints_the_table_and_writes_the_page(folder: Path) -> None:
    done = CliRunner().invoke(
        app, ["compare", "workspace", "workspace:late", "--html", "page.html"], env={"COLUMNS": "150"}
    )
    assert done.exit_code == 0, done.output
    assert "workspace:late" in done.output
    page = (folder / "page.html").read_text()
    found = compare([read_source(name, no_run) for name in ("workspace", "workspace:late")], "test", 2000, 13)
    apart = comparison_lines(found)[2][5].split("\n")
    assert apart[0] in done.output and apart[1].replace(" to ", "…") in done.output
    assert apart[0] in page and apart[1] in page


def test_the_page_escapes_names(tmp_path: Path) -> None:
    found = compare([ModelAnswers("<b>one", answers()), ModelAnswers("two", answers([1]))], "test", 200, 1)
    write_comparison(tmp_path / "page.html", found)
    assert "<b>one" not in (tmp_path / "page.html").read_text()


def test_a_page_that_can_not_be_written_is_a_message(tmp_path: Path) -> None:
    found = compare([ModelAnswers("one", answers()), ModelAnswers("two", answers([1]))], "test", 200, 1)
    with pytest.raises(DataError, match="can't be written"):
        write_comparison(tmp_path, found)
    assert list(tmp_path.parent.glob(".*tmp")) == []
