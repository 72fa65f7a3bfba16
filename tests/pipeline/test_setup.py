"""What holds before the first stage: a repository is there, and a stage imports the library beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.pipeline.imports import ROOT

WHERE = """
import sys
import stages
from emofuse.core.processes import processes
from tests_of_the_copy import where
if __name__ == "__main__":
    with processes(1) as submit:
        print(where(), submit(where).result(), sep="\\n")
"""
ASK = "def where():\n    import emofuse.core.paths\n    return emofuse.core.paths.__file__\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project in a folder of its own, as `dvc exp run --queue` makes one, with what is no part of git left out."""
    for name in ("stages", "src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", [None, ROOT / "src"])
def test_a_stage_and_its_processes_import_the_library_beside_it(copy: Path, path: Path | None) -> None:
    (copy / "asked.py").write_text(WHERE)
    (copy / "tests_of_the_copy.py").write_text(ASK)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"PYTHONPATH": str(path)} if path else {}
    done = subprocess.run(
        [sys.executable, "-m", "asked"], cwd=copy, env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == 2 * [str(copy / "src/emofuse/core/paths.py")], done.stderr


@pytest.mark.parametrize("target", ["repro", "test", "test-slow"])
@pytest.mark.parametrize("git", [True, False])
def test_without_a_repository_nothing_is_installed(copy: Path, target: str, git: bool) -> None:
    programs = copy / "programs"
    programs.mkdir()
    for name in ("sh", "make", *(["git"] if git else [])):
        (programs / name).symlink_to(str(shutil.which(name)))
    env = {"PATH": str(programs), "GIT_CEILING_DIRECTORIES": str(copy.parent)}
    done = subprocess.run(["make", target], cwd=copy, env=env, capture_output=True, text=True, check=False)
    assert done.returncode
    assert "expected a git repository, which DVC needs; run `git init` here" in done.stderr
    assert ("not a git repository" if git else "git") in done.stderr
    assert not (copy / ".venv").exists()


def test_make_clean_removes_all_that_the_pipeline_made_and_nothing_that_people_brought(copy: Path) -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    outs = [out for stage in stages.values() for out in stage["outs"]]
    made = [copy / out for out in outs if isinstance(out, str)]
    kept = [copy / path for out in outs if isinstance(out, dict) for path in out]  # corrected by people, or in git
    kept += [copy / path for path in ("data/ravdess/Actor_01/a.wav", "models/mine/bundle.json", "params.yaml")]
    for path in (*made, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert copy / "data/transcripts.csv" in kept and made
    done = subprocess.run(["make", "clean"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not [path for path in made if path.exists()]
    assert all(path.is_file() for path in kept)
