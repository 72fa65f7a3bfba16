"""One word for one thing: the names of the package, held to the glossary as far as a machine can."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.imports import ROOT

SOURCE = ROOT / "src" / "emofuse"
FILES = sorted(SOURCE.rglob("*.py"))
# The field has words for these: result, rows, boxes, finetuned, apply_temperature, atomic_write, has_text, num_queries.
BANNED = {
    *("found", "said", "told", "held", "known"),
    *("tuned", "heated", "written_aside", "spoken", "asking", "forth", "nursery", "rays", "face_columns"),
}
LOOSE = {"__init__.py", "__main__.py", "cli.py", "tracking.py"}
PARALLEL = ("features/*/*.py", "features/metadata.py")  # rooms with an extractor each, under the same names


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What a module gives names to: functions, classes, arguments, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_name_is_a_word_that_says_nothing_of_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [f"{path.name}:{line}: {name}" for line, name in names(tree) if name.lower().strip("_") in BANNED]


def test_a_public_name_stands_once_in_the_package() -> None:
    places: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        module = path.relative_to(SOURCE)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                places[node.name].add("features" if any(map(module.match, PARALLEL)) else str(module))
    twice = {name: sorted(where) for name, where in places.items() if len(where) > 1 and not name.startswith("_")}
    assert set(twice) <= {"main"}, twice


def test_nothing_but_the_entries_and_tracking_lies_loose() -> None:
    assert {path.name for path in SOURCE.iterdir() if path.is_file() and path.suffix == ".py"} == LOOSE


def test_the_words_are_not_blind() -> None:
    source = "class Found:\n    def __init__(self, told):\n        self.held = said = told\n"
    assert {name for _, name in names(ast.parse(source))} >= {"Found", "told", "held", "said"}
