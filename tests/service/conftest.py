"""The application over a real predictor, started once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from emofuse.params import Params
from emofuse.predictor import Predictor
from emofuse.service.app import Served, create_app


@pytest.fixture(scope="package")
def application(bundle: Path, params: Params) -> FastAPI:
    return create_app(lambda: Served(Predictor.load(bundle), {"dev_weighted_f1": 0.5}, "# Card"), params.serve)


@pytest.fixture(scope="package")
def client(application: FastAPI) -> Iterator[TestClient]:
    with TestClient(application) as client:
        yield client


@pytest.fixture(scope="package")
def clip(corpus: Path) -> bytes:
    """A clip of the built-in corpus with a face and a voice."""
    clips = (corpus / "output_repeated_splits_test").glob("*.mp4")
    return max(clips, key=lambda path: path.stat().st_size).read_bytes()
