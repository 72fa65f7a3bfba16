"""The same bytes on processors of two makers, which qemu emulates, as on this machine: from clips to the report."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import tiny_encoder
from tests.pipeline.checkout import Checkout

QEMU = shutil.which("qemu-x86_64")
STAGES = [
    "ingest",
    "finetune",
    "text",
    "audio",
    "visual",
    "metadata",
    "data_report",
    "scale",
    "train",
    "tune",
    "ensemble",
    "evaluate",
    "report",
    "submit",
]
OUTS = ("data", "features", "scalers", "models", "reports")
PROCESSORS = ("Haswell", "EPYC")
# What an emulated processor, a hundred times slower, has time for.
TINY = {
    "corpus": {"dialogues": 7, "utterances": 14},
    "text": {"encoder": "tiny"},
    "visual": {"width": 160, "fps": 0.5},
    "scale": {"projection": {"hog": 4}},
    "train": {
        "folds": 2,
        "epochs": 1,
        "steps": 3,
        "batch_size": 8,
        "early": {"hidden": [8]},
        "late": {"hidden": [8]},
        "attention": {"width": 8, "heads": 2},
    },
    "evaluate": {"resamples": 100},
}


def emulator(folder: Path, processor: str) -> Path:
    """A program that runs Python on an emulated processor; what Python starts by itself would run on the real one."""
    script = folder / f"python-{processor}"
    real = Path(sys.executable).resolve()
    script.write_text(f'#!/bin/sh\nexec {QEMU} -cpu {processor} -0 {sys.executable} {real} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def outs(folder: Path) -> dict[str, bytes]:
    files = [path for out in OUTS for path in sorted((folder / out).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def start(checkout: Checkout, python: str, core: int) -> subprocess.Popen[bytes]:
    command = ["taskset", "-c", str(core), python, "-m", "tests.pipeline.in_one_process", python, *STAGES]
    with (checkout.folder / "run.log").open("wb") as log:
        return subprocess.Popen(command, cwd=checkout.folder, env=checkout.env, stdout=log, stderr=subprocess.STDOUT)


@pytest.mark.slow
@pytest.mark.skipif(QEMU is None, reason="needs qemu-x86_64, of Debian's package qemu-user")
@pytest.mark.timeout(2700)
def test_the_pipeline_gives_the_same_bytes_on_processors_of_two_makers(tmp_path: Path) -> None:
    here = Checkout(tmp_path / "here")
    here.params(**TINY)
    tiny_encoder(here.folder / "tiny")
    assert here.run(sys.executable, "-m", "stages.corpus").returncode == 0
    checkouts = {}
    for processor in PROCESSORS:
        checkouts[processor] = Checkout(tmp_path / processor)
        shutil.copytree(here.folder, tmp_path / processor, dirs_exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))
    assert start(here, sys.executable, cores[0]).wait() == 0, here.read("run.log").decode()
    expected = outs(here.folder)
    assert {"reports/report.html", "models/ensemble/weights.safetensors"} <= set(expected)
    running = [
        start(checkouts[processor], str(emulator(tmp_path, processor)), cores[number % len(cores)])
        for number, processor in enumerate(PROCESSORS)
    ]
    for processor, process in zip(PROCESSORS, running, strict=True):
        assert process.wait() == 0, checkouts[processor].read("run.log").decode()
        found = outs(tmp_path / processor)
        assert set(found) == set(expected)
        assert [name for name in expected if found[name] != expected[name]] == [], processor


@pytest.mark.slow
def test_the_pipeline_gives_the_same_bytes_on_one_core_and_on_all(tmp_path: Path) -> None:
    first, second = Checkout(tmp_path / "one"), Checkout(tmp_path / "all")
    for checkout, cores in ((first, "0"), (second, f"0-{max(os.sched_getaffinity(0))}")):
        command = ("taskset", "-c", cores, sys.executable, "-m", "tests.pipeline.in_one_process", sys.executable)
        done = checkout.run(*command, "corpus", *STAGES)
        assert done.returncode == 0, done.stdout + done.stderr
    assert outs(first.folder) == outs(second.folder)
