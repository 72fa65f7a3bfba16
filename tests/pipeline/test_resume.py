"""Stages that are killed or interrupted, as their user would."""

from __future__ import annotations

import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import yaml

from emofuse.extraction.cache import FILE
from tests.pipeline.test_pipeline import Checkout

STAGES = ("text", "audio", "visual")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    checkout.params(corpus={"dialogues": 12, "utterances": 60})
    done = checkout.run("dvc", "repro", "ingest")
    assert done.returncode == 0, done.stderr
    return checkout


def started(checkout: Checkout, stage: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"stages.{stage}"]
    return subprocess.Popen(command, cwd=checkout.folder, env=checkout.env, stderr=subprocess.PIPE, text=True)


def entries(checkout: Checkout) -> int:
    """Rows in the cache, read here: a command takes so long to start that the stage would be over by then."""
    path = checkout.folder / ".cache/features" / FILE
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as cache:
            return int(cache.execute("SELECT count(*) FROM entries").fetchone()[0])
    except sqlite3.OperationalError:  # it isn't there yet
        return 0


def until_something_is_kept(checkout: Checkout, process: subprocess.Popen[str]) -> None:
    while entries(checkout) == 0:
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """Have processes hear SIGINT even if these tests run in the background of a script, whose shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def nothing_kept(checkout: Checkout) -> Iterator[None]:
    shutil.rmtree(checkout.folder / ".cache", ignore_errors=True)
    yield


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_kept", "ctrl_c_is_heard")
def test_ctrl_c_stops_with_a_message_and_the_next_run_goes_on(checkout: Checkout) -> None:
    stage = started(checkout, "visual")
    until_something_is_kept(checkout, stage)
    stage.send_signal(signal.SIGINT)
    _, told = stage.communicate(timeout=30)
    assert stage.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    kept = entries(checkout)
    done = checkout.run("python", "-m", "stages.visual")
    cached = re.search(r"(\d+) from the cache", done.stderr)
    assert cached and int(cached[1]) >= kept > 0


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_kept")
def test_a_killed_stage_leaves_no_process_behind(checkout: Checkout) -> None:
    stage = started(checkout, "visual")
    until_something_is_kept(checkout, stage)
    stage.kill()
    stage.communicate(timeout=30)  # ends once no worker holds the pipe


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_kept")
def test_ten_kills_and_a_run_give_the_lock_of_an_undisturbed_run(checkout: Checkout) -> None:
    before = checkout.read("dvc.lock")  # without these stages
    began = time.monotonic()
    assert checkout.run("dvc", "repro", *STAGES).returncode == 0
    span = (time.monotonic() - began) / len(STAGES)
    lock = yaml.safe_load(checkout.read("dvc.lock"))
    (checkout.folder / "dvc.lock").write_bytes(before)
    for name in ("features", ".cache", ".dvc/cache/runs"):
        shutil.rmtree(checkout.folder / name)
    chance = random.Random(4)
    for number in range(10):
        stage = started(checkout, STAGES[number % len(STAGES)])
        time.sleep(chance.uniform(0.2, 1) * span)
        stage.kill()
        stage.communicate(timeout=60)
    done = checkout.run("dvc", "repro", *STAGES)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(checkout.read("dvc.lock")) == lock  # DVC writes stages in the order in which it ran them
