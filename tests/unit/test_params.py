from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from emofuse.core.errors import ParamsError
from emofuse.core.params import Params, load_params
from emofuse.core.records import CONTEXT_LINES
from tests.pipeline.imports import ROOT


def altered(tmp_path: Path, **changes: object) -> Path:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for dotted, value in changes.items():
        section, _, key = dotted.partition("__")
        if value is None:
            del content[section][key]
        else:
            content[section][key] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_repositorys_own_params_are_valid(params: Params) -> None:
    assert params.train.folds >= 2


def test_three_mistakes_are_all_named_at_once(tmp_path: Path) -> None:
    path = altered(tmp_path, train__epochs=-3, visual__fsp=5, text__pooling=None)
    with pytest.raises(ParamsError) as caught:
        load_params(path)
    message = str(caught.value)
    assert "3 mistakes; nothing was run" in message
    assert "train.epochs: found -3; input should be greater than 0" in message
    assert "visual.fsp: unknown key" in message
    assert "text.pooling: missing" in message


def test_a_union_is_named_without_its_branches(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"- text\.layers: found 'last'"):
        load_params(altered(tmp_path, text__layers="last"))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"train__folds": "five"}, "train.folds: found 'five'; input should be a valid integer, .*; or .* 'speaker'"),
        ({"audio__layers": "some"}, "audio.layers: found 'some'; input should be 'all'; or .* a valid list"),
        ({"tune__space": {"dropout": {"low": 0.1}}}, "tune.space.dropout.high: missing"),
        ({"tune__space": {"dropout": {"choices": []}}}, r"tune.space.dropout.choices: found \[\]"),
    ],
)
def test_what_the_branches_of_a_union_say_of_a_key_is_one_mistake(
    tmp_path: Path, changes: dict[str, object], line: str
) -> None:
    with pytest.raises(ParamsError, match=rf"1 mistake; nothing was run\n  - {line}"):
        load_params(altered(tmp_path, **changes))


def test_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"no such file; run from the folder that holds params\.yaml"):
        load_params(tmp_path / "params.yaml")


def test_broken_yaml_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("seed: [1\ntrain: }")
    with pytest.raises(ParamsError, match="not readable as YAML"):
        load_params(tmp_path / "params.yaml")


def test_command_line_check_shows_no_stack_trace(tmp_path: Path) -> None:
    path = altered(tmp_path, train__folds=1)
    done = subprocess.run(
        [sys.executable, "-m", "emofuse.core.params", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "train.folds" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("groups", [[], ["hog", "hog"], ["hgo"]])
def test_groups_that_are_none_unknown_or_named_twice_are_mistakes(tmp_path: Path, groups: list[str]) -> None:
    with pytest.raises(ParamsError, match=r"- visual\.groups"):
        load_params(altered(tmp_path, visual__groups=groups))


def test_the_order_of_groups_is_no_difference(tmp_path: Path) -> None:
    one, other = (
        load_params(altered(tmp_path, visual__groups=names)) for names in (["hog", "edges"], ["edges", "hog"])
    )
    assert one == other


def test_what_a_result_depends_on_holds_no_runtime_section(params: Params) -> None:
    found = params.of_results()
    assert found["train.folds"] == params.train.folds
    assert not {name.partition(".")[0] for name in found} & {"extract", "serve"}


def looking_back(
    tmp_path: Path, window: int, previous: int, context: str = "causal", epochs: int = 1, **tune: object
) -> Params:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["train"]["attention"] |= {"window": window, "context": context}
    content["text"]["finetune"] |= {"previous": previous, "epochs": epochs}
    content["tune"] |= tune
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(("window", "previous"), [(32, 1), (8, 25), (1, 32), (20, 20)])
def test_no_model_looks_further_back_than_a_service_is_sent(tmp_path: Path, window: int, previous: int) -> None:
    for context in ("causal", "both"):
        message = rf"look {window + previous} lines back, expected at most {CONTEXT_LINES} in all; lower one"
        with pytest.raises(ParamsError, match=message):
            looking_back(tmp_path, window, previous, context)
    looking_back(tmp_path, CONTEXT_LINES - min(previous, 31), min(previous, 31))
    looking_back(tmp_path, window, previous, context="none")
    looking_back(tmp_path, window, previous, epochs=0)


def test_the_lines_that_count_bound_each_alone(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"train\.attention\.window: found 33"):
        looking_back(tmp_path, CONTEXT_LINES + 1, 0)
    with pytest.raises(ParamsError, match=r"text\.finetune\.previous: found 33"):
        looking_back(tmp_path, 1, CONTEXT_LINES + 1)


@pytest.mark.parametrize("space", [{"choices": [4, 30]}, {"low": 2, "high": 30}])
def test_a_search_may_not_try_windows_that_a_service_is_not_sent(tmp_path: Path, space: dict[str, object]) -> None:
    with pytest.raises(ParamsError, match="look 35 lines back"):
        looking_back(tmp_path, 8, 5, trials=1, space={"attention.window": space})
    looking_back(tmp_path, 8, 2, trials=1, space={"attention.window": space})
    looking_back(tmp_path, 8, 5, trials=0, space={"attention.window": space})
