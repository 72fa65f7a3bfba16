from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emofuse.core.learnt import Reached
from emofuse.inference.description import SCORES, read_reached, write_reached

HOME = {"test": {"weighted_f1": 0.5}}

PROGRAM = """
import sys
from pathlib import Path
import bentoml
from emofuse.core.learnt import Elsewhere
from emofuse.inference.description import bundle_version
from emofuse.service.store import add_score, store_bundle
folder = Path(sys.argv[1])
score = Elsewhere(data="meld:mine", data_hash="ab", rows=7, scores={"accuracy": 0.5})
add_score(bundle_version(folder), score)  # which the store doesn't have yet
store_bundle(folder)
add_score(bundle_version(folder), score)
again = bentoml.models.get(store_bundle(folder, {"mlflow_run": "another"}))  # as a run after it does
assert again.info.labels == {"mlflow_run": "another"}
print(again.path)
"""


@pytest.mark.slow
def test_a_bundle_is_stored_with_its_folders_and_keeps_what_it_is_measured_at_elsewhere(
    bundle: Path, tmp_path: Path
) -> None:
    made = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    write_reached(made, Reached(home=HOME))
    (made / "encoders").mkdir()
    (made / "encoders" / "one.safetensors").write_bytes(b"weights")
    env = os.environ | {"BENTOML_HOME": str(tmp_path / "bentoml")}  # which BentoML reads once a process
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(made)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stored = Path(done.stdout.splitlines()[-1])
    for path in (path for path in made.rglob("*") if path.is_file() and path.name != SCORES):
        assert (stored / path.relative_to(made)).read_bytes() == path.read_bytes()
    assert read_reached(stored).home == HOME
    assert [(each.data, each.scores) for each in read_reached(stored).elsewhere] == [("meld:mine", {"accuracy": 0.5})]
