"""The application over a real predictor, started once."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from emofuse.core.learnt import Elsewhere, Reached
from emofuse.core.params import Params
from emofuse.inference.predictor import Predictor
from emofuse.service.app import create_app
from emofuse.service.endpoints import Served

REACHED = Reached(
    home={"dev": {"weighted_f1": 0.5}},
    elsewhere=[Elsewhere(data="meld:mine", data_hash="ab" * 32, rows=7, scores={"weighted_f1": 0.25})],
)


@pytest.fixture(scope="package")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where every application of these tests makes its folder for uploads."""
    folder = tmp_path_factory.mktemp("uploads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="package")
def application(bundle: Path, params: Params, uploads: Path) -> Callable[[], FastAPI]:
    return lambda: create_app(lambda: Served(Predictor.load(bundle), REACHED, "# Card"), params.serve)


@pytest.fixture(scope="package")
def client(application: Callable[[], FastAPI]) -> Iterator[TestClient]:
    with TestClient(application()) as client:
        yield client


@pytest.fixture(scope="package")
def address(application: Callable[[], FastAPI]) -> Iterator[str]:
    """Where a real server answers, on loopback."""
    with serving(application()) as place:
        yield place


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """A real server on loopback; gives its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="wsproto"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.1)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="package")
def clip(corpus: Path) -> bytes:
    """A clip of the built-in corpus with a face and a voice."""
    clips = (corpus / "output_repeated_splits_test").glob("*.mp4")
    return max(clips, key=lambda path: path.stat().st_size).read_bytes()
