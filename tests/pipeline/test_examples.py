"""Every example, run as a user would run it, on small clips."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import httpx
import nbformat
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

from emofuse.core.presets import combined
from tests.pipeline.checkout import AUTHOR, SMALL, Checkout
from tests.pipeline.imports import ROOT

BIN = Path(sys.executable).parent
EXAMPLES = ROOT / "examples"
QUICK = ("-S", "train.folds=2", "-S", "train.epochs=2", "-S", "train.steps=4", "-S", "evaluate.resamples=100")
EVERY = {"README.md", "make_film.py", "film.sh", "own_clips.sh", "other_corpus.sh", "from_python.ipynb"}


@pytest.fixture
def folder(corpus: Path, bundle: Path, tmp_path: Path) -> Path:
    """A checkout with params, a champion and the built-in corpus, as `make repro` leaves one."""
    for name in ("examples", "demo_corpus"):
        (tmp_path / name).symlink_to(ROOT / name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(combined(params, SMALL)))
    shutil.copytree(bundle, tmp_path / "models/champion")
    shutil.copytree(corpus, tmp_path / "data/corpus")
    return tmp_path


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


def test_every_example_is_run_here_and_named_in_their_readme() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == EVERY
    text = (EXAMPLES / "README.md").read_text()
    assert all(f"]({name})" in text for name in EVERY - {"README.md"})


@pytest.mark.slow
def test_a_film_becomes_a_table_and_a_curve(folder: Path) -> None:
    made = run(folder, sys.executable, "-m", "examples.make_film", "film.mp4")
    assert made.returncode == 0, made.stderr
    done = run(folder, "sh", str(EXAMPLES / "film.sh"), "film.mp4", "film.srt")
    assert done.returncode == 0, done.stderr
    with (folder / "film.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    words = set(pd.read_csv(folder / "data/corpus/test_sent_emo.csv")["Utterance"])
    assert rows and all(row["text"] in words for row in rows)
    lines = ElementTree.parse(folder / "film.svg").getroot().iter("{http://www.w3.org/2000/svg}polyline")
    assert {len(str(line.get("points")).split()) for line in lines} == {len(rows)}


@pytest.mark.slow
def test_a_film_without_subtitles_is_heard_by_the_first_champion(folder: Path) -> None:
    assert run(folder, sys.executable, "-m", "examples.make_film", "film.mp4").returncode == 0
    done = run(folder, "sh", str(EXAMPLES / "film.sh"), "film.mp4", "--transcribe")
    assert done.returncode == 0, done.stderr
    with (folder / "film.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert any(row["text"] and float(row["confidence"]) > 0 for row in rows)
    assert (folder / "film.svg").is_file()


@pytest.mark.slow
def test_the_first_commands_of_the_readme_make_a_table_and_a_curve(folder: Path) -> None:
    block = re.search(r"<!-- first -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block
    _, activate, make_film, timeline = block[1].splitlines()  # the first is the pipeline's, tested as a whole
    assert activate.startswith(". .venv/bin/activate")
    done = run(folder, "sh", "-euc", f"{make_film}\n{timeline}")
    assert done.returncode == 0, done.stderr
    assert (folder / "film.csv").is_file() and (folder / "film.svg").is_file()


@pytest.mark.slow
def test_a_champion_is_scored_on_another_corpus(folder: Path) -> None:
    done = run(folder, "sh", str(EXAMPLES / "other_corpus.sh"), "demo:data/corpus", "--map", "joy=joy")
    assert done.returncode == 0, done.stderr
    [scores] = json.loads((folder / "scores.json").read_text())
    assert "scores.html" in {path.name for path in folder.iterdir()} and scores["data"] == "demo:data/corpus"


@pytest.mark.slow
def test_the_notebook_runs_from_its_first_cell_to_its_last(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", str(ROOT / "src")))
    notebook = nbformat.read(EXAMPLES / "from_python.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept without outputs: they would go stale"
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("weighted F1" in output.get("text", "") or "early" in output.get("text", "") for output in shown)
    assert (folder / "models/mine/bundle.json").is_file()


def table_of(corpus: Path, root: Path) -> None:
    """The clips of the built-in corpus as a user's table."""
    root.mkdir()
    rows = []
    for name, clips in (("train", "train_splits"), ("dev", "dev_splits_complete")):
        table = pd.read_csv(corpus / f"{name}_sent_emo.csv")
        for line in table.itertuples():
            clip = f"{name}{line.Dialogue_ID}_{line.Utterance_ID}.mp4"
            source = corpus / clips / f"dia{line.Dialogue_ID}_utt{line.Utterance_ID}.mp4"
            if source.is_file():
                shutil.copy(source, root / clip)
                dialogue = f"{name}{line.Dialogue_ID}"
                rows.append((clip, line.Utterance, line.Emotion, dialogue, line.Speaker))
    frame = pd.DataFrame(rows, columns=["clip", "text", "label", "dialogue", "speaker"])
    frame.to_csv(root / "table.csv", index=False)


@pytest.mark.slow
def test_a_table_of_clips_becomes_a_served_champion(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = Checkout(tmp_path / "checkout")
    table_of(corpus, tmp_path / "clips")
    checkout.run("git", "add", "--all")
    assert checkout.run("git", *AUTHOR, "commit", "--quiet", "--message", "start").returncode == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with log.open("w") as file:
        command = ["sh", "examples/own_clips.sh", str(tmp_path / "clips"), *QUICK]
        env = checkout.env | {"PORT": str(port)}
        process = subprocess.Popen(command, cwd=checkout.folder, env=env, stdout=file, stderr=file)
    try:
        ends = time.monotonic() + 900
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            while not _ready(client):
                assert process.poll() is None and time.monotonic() < ends, log.read_text()
                time.sleep(0.5)
            answer = client.post("/predict", json={"utterance": "What a surprise!"}).json()
        assert answer["label"] in set(pd.read_csv(tmp_path / "clips/table.csv")["label"])
        assert "reports/metrics/early.json" in log.read_text()
    finally:
        process.terminate()
        process.wait(60)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
