"""What BentoML says of the service's readiness."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.pipeline.imports import ROOT

PATIENCE = 120.0  # seconds


@pytest.fixture
def server(bundle: Path, tmp_path: Path) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """The service under BentoML, over a small bundle."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(bundle, tmp_path / "models" / "champion")
    with started(tmp_path) as server:
        yield server


@contextmanager
def started(folder: Path, **variables: str) -> Iterator[tuple[psutil.Process, httpx.Client]]:
    """The service of a folder with params and a champion, in an environment with other variables."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = os.environ | {"BENTOML_HOME": str(folder / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"} | variables
    command = [sys.executable, "-m", "bentoml", "serve", "emofuse.service.bento:Emofuse", "--host", "127.0.0.1"]
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen([*command, "--port", str(port)], cwd=folder, env=env, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_for(client, 200)
            yield psutil.Process(process.pid), client
    finally:
        process.terminate()
        process.wait(60)


def wait_for(client: httpx.Client, status: int) -> None:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        try:
            if client.get("/readyz").status_code == status:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"/readyz did not get to {status}")


@pytest.mark.slow
def test_a_service_is_not_ready_while_it_has_no_process_for_clips(
    server: tuple[psutil.Process, httpx.Client], clip: bytes
) -> None:
    process, client = server
    for _ in range(2):
        forkserver = next(
            p for p in process.children(recursive=True) if "emofuse.service.media_pool.forkserver" in p.cmdline()
        )
        for one in (forkserver, *forkserver.children()):
            one.send_signal(signal.SIGKILL)
        wait_for(client, 503)
        assert client.post("/predict", json={"utterance": "Oh no."}).status_code == 200  # which needs none
        wait_for(client, 200)
        assert client.post("/predict", files={"video": clip}).status_code == 200
