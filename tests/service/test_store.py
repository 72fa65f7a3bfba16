from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path
import bentoml
from emofuse.service.store import store_bundle
print(bentoml.models.get(store_bundle(Path(sys.argv[1]))).path)
"""


@pytest.mark.slow
def test_a_bundle_is_stored_with_its_folders(bundle: Path, tmp_path: Path) -> None:
    made = Path(shutil.copytree(bundle, tmp_path / "bundle"))
    (made / "encoders").mkdir()
    (made / "encoders" / "one.safetensors").write_bytes(b"weights")
    env = os.environ | {"BENTOML_HOME": str(tmp_path / "bentoml")}  # which BentoML reads once a process
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(made)], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    stored = Path(done.stdout.splitlines()[-1])
    for path in (path for path in made.rglob("*") if path.is_file()):
        assert (stored / path.relative_to(made)).read_bytes() == path.read_bytes()
