"""The interface does what its description says, whatever is sent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.pipeline.imports import ROOT


@pytest.mark.slow
def test_schemathesis_finds_nothing(address: str) -> None:
    pytest.importorskip("schemathesis", reason="schemathesis is not installed")
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}openapi.json", "--max-examples", "15"]
    done = subprocess.run([*command, "--no-color"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
