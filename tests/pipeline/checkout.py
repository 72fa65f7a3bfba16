"""A copy of the repository to run in, and a server of what it made."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from emofuse.core.numerics import MODE
from emofuse.core.presets import combined
from tests.pipeline.imports import ROOT

BIN = Path(sys.executable).parent
AUTHOR = ("-c", "user.name=emofuse", "-c", "user.email=emofuse@localhost")
SMALL = {
    "corpus": {"dialogues": 9, "utterances": 36},
    "text": {"layers": [-1]},
    "train": {"folds": 2, "epochs": 4, "steps": 8},
}


class Checkout:
    """A copy of the repository with a smaller corpus, as a fresh clone would be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tracked = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in tracked.stdout.splitlines():
            if (ROOT / name).is_file() and name != "dvc.lock":
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.env = {name: value for name, value in os.environ.items() if name != MODE} | {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "BENTOML_HOME": str(folder / "bentoml"),
            "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}",
            "DVC_NO_ANALYTICS": "1",
        }
        self.run("git", "init", "--quiet")
        self.params(**SMALL)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=600, check=False
        )

    def params(self, **sections: dict[str, Any]) -> None:
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        for section, changes in sections.items():
            content[section] = combined(content[section], changes)
        path.write_text(yaml.safe_dump(content))

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@contextmanager
def served(checkout: Checkout, folder: Path, target: str, log_name: str = "serve.log") -> Iterator[httpx.Client]:
    command = [str(BIN / "bentoml"), "serve", target, "--host", "127.0.0.1"]
    with running(command, checkout.folder / log_name, checkout.env, folder) as (server, client):
        try:
            yield client
        finally:
            server.terminate()
            server.wait(30)


@contextmanager
def running(
    command: list[str], log: Path, env: Mapping[str, str], folder: Path | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    """A service on a free port, which is added to its command, once it is ready; killed where a test did not end it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("w") as file:
        server = subprocess.Popen([*command, "--port", str(port)], cwd=folder, env=env, stdout=file, stderr=file)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            for _ in range(240):
                try:
                    if client.get("/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                assert server.poll() is None, log.read_text()
                time.sleep(0.5)
            yield server, client
    finally:
        server.kill()
        server.wait(30)
