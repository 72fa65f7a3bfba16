"""Which of the project's modules a stage script imports, at any depth, inside functions too."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Where the project's packages that stages import lie.
PACKAGES = {"emofuse": ROOT / "src", "demo_corpus": ROOT}


def imported_modules(script: Path) -> set[str]:
    """Paths, relative to the repository, of all modules of `PACKAGES` that a script reaches."""
    seen: set[Path] = set()
    waiting = [script]
    while waiting:
        for module in _direct(waiting.pop()) - seen:
            seen.add(module)
            waiting.append(module)
    return {path.relative_to(ROOT).as_posix() for path in seen if path.name != "__init__.py"}


def _direct(path: Path) -> set[Path]:
    found: set[Path] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and _never_runs(node))]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= _files(node.module)
            for alias in node.names:
                found |= _files(f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                found |= _files(alias.name)
    return found


def _never_runs(node: ast.If) -> bool:
    """Whether it is `if TYPE_CHECKING:`, whose imports only the checker of types reads."""
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _files(module: str) -> set[Path]:
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return set()
    base = PACKAGES[parts[0]].joinpath(*parts)
    return {path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()}
