"""The application over a real predictor, started once a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emofuse.params import Params
from emofuse.predictor import Predictor
from emofuse.service.app import create_app


@pytest.fixture(scope="package")
def client(bundle: Path, params: Params) -> Iterator[TestClient]:
    with TestClient(create_app(lambda: Predictor.load(bundle), params.serve)) as client:
        yield client


@pytest.fixture(scope="package")
def clip(corpus: Path) -> bytes:
    """A clip of the built-in corpus with a face and a voice."""
    clips = (corpus / "output_repeated_splits_test").glob("*.mp4")
    return max(clips, key=lambda path: path.stat().st_size).read_bytes()
