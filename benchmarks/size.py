"""What an installation takes: `python -m benchmarks.size` writes benchmarks/size.json and the table in docs/service.md.

It is measured on the packages of this environment: those that a part of the project requires, at any depth, and the
bytes of their files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.page import filled
from emofuse.core.errors import DataError, guard
from emofuse.core.files import write_json

PROJECT, RESULTS, PAGE = Path("pyproject.toml"), Path("benchmarks/size.json"), Path("docs/service.md")
NAMED = 8  # the largest packages of a part, which are named


def declared(project: Path = PROJECT) -> dict[str, list[str]]:
    """What `pip install` of the project, alone and with an extra, is asked for."""
    content = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    base, extras = content["dependencies"], content["optional-dependencies"]
    return {".": base, **{f".[{name}]": base + extras[name] for name in ("transcribe", "pipeline")}}


def installed(requirements: Iterable[str]) -> dict[str, Distribution]:
    """The packages that requirements bring, at any depth.

    Raises:
        DataError: one is not installed here.
    """
    packages: dict[str, Distribution] = {}
    waiting = [(Requirement(each), "") for each in requirements]
    done: set[tuple[str, str]] = set()
    while waiting:
        asked, extra = waiting.pop()
        if asked.marker is not None and not asked.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(asked.name)
        for wanted in ({"", *asked.extras}) - {each for other, each in done if other == name}:
            done.add((name, wanted))
            try:
                packages[name] = distribution(name)
            except PackageNotFoundError:
                raise DataError(f"{name} is not installed; run `make repro` or `make test` first") from None
            waiting += [(Requirement(each), wanted) for each in packages[name].requires or ()]
    return packages


def megabytes(package: Distribution) -> float:
    """What the files of a package take, in MB."""
    paths = [Path(str(package.locate_file(file))) for file in package.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def measure() -> dict[str, Any]:
    """Of each part: how many packages, their size and the largest of them."""
    results = {}
    for part, requirements in declared().items():
        sizes = {name: megabytes(package) for name, package in installed(requirements).items()}
        largest = sorted(sizes, key=lambda name: -sizes[name])[:NAMED]
        results[part] = {
            "packages": len(sizes),
            "mb": round(sum(sizes.values())),
            "largest": {name: round(sizes[name]) for name in largest},
        }
    return {"torch": distribution("torch").version, "parts": results}


def table(results: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    lines = ["| `pip install` in a clone | packages | MB | the largest |", "|---|--:|--:|---|"]
    for part, size in sorted(results["parts"].items(), key=lambda item: item[1]["mb"]):
        ranked = sorted(size["largest"].items(), key=lambda item: (-item[1], item[0]))
        largest = ", ".join(f"{name} {mb}" for name, mb in ranked)
        lines.append(f"| `{part}` | {size['packages']} | {size['mb']:,} | {largest} |")
    return "\n".join([*lines, "", f"Measured with torch {results['torch']}."])


if __name__ == "__main__":
    with guard():
        figures = measure()
        write_json(RESULTS, figures)
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), "size", table(figures)), encoding="utf-8")
        print(table(figures))
