"""Bundles in the BentoML model store, each under its own hash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import bentoml

from emofuse.core.errors import BundleError
from emofuse.core.learnt import Elsewhere
from emofuse.inference.description import WEIGHTS, bundle_version, read_reached, write_reached

MODEL_NAME = "emofuse"
CONTEXT = ("params.yaml", "bentofile.yaml", "README.md", "requirements-serve.lock")  # what a Bento is built from


def model_tag(folder: Path) -> str:
    """The store's tag of the bundle in a folder: its name and the first 16 digits of its hash."""
    return _tag(bundle_version(folder))


def _tag(version: str) -> str:
    return f"{MODEL_NAME}:{version[:16]}"


def champion_tag(folder: Path) -> str:
    """The tag of the bundle to serve, saved to the store first where it is not there yet (after `dvc pull`, say).

    In a Bento only the bundle's description lies in `folder`; its weights come with the Bento's own store.
    """
    return store_bundle(folder) if (folder / WEIGHTS).exists() else model_tag(folder)


def store_bundle(folder: Path, labels: Mapping[str, str] | None = None) -> str:
    """Save a bundle to the store unless it is there; with other labels, replace it, and keep what `add_score` added.

    Returns:
        Its tag.
    """
    tag, reached = model_tag(folder), read_reached(folder)
    try:
        stored = bentoml.models.get(tag)
        if labels is None or dict(stored.info.labels) == dict(labels):
            return tag
        for score in read_reached(Path(stored.path)).elsewhere:
            reached = reached.add(score)
        bentoml.models.delete(tag)
    except bentoml.exceptions.NotFound:
        pass
    with bentoml.models.create(tag, labels=dict(labels or {})) as model:
        shutil.copytree(folder, model.path, dirs_exist_ok=True)
        if reached.elsewhere:
            write_reached(Path(model.path), reached)
    return tag


def add_score(version: str, score: Elsewhere) -> None:
    """Let the service tell what a model reaches elsewhere, where the store has the bundle of that version."""
    with suppress(bentoml.exceptions.NotFound):
        folder = Path(bentoml.models.get(_tag(version)).path)
        write_reached(folder, read_reached(folder).add(score))


def serve_from(place: Path, host: str, port: int) -> NoReturn:
    """Become the service of a folder that holds params.yaml and models/champion."""
    listening = ["--host", host, "--port", str(port)]
    os.chdir(place)
    os.execv(sys.executable, [sys.executable, "-m", "bentoml", "serve", "emofuse.service.bento:Emofuse", *listening])


def known_bento(folder: Path) -> str | None:
    """The tag of the newest Bento in the store that serves the bundle in a folder."""
    model = model_tag(folder)
    serving = [b for b in bentoml.list(MODEL_NAME) if model in {str(served.tag) for served in b.info.all_models}]
    return str(max(serving, key=lambda bento: bento.info.creation_time).tag) if serving else None


def build_bento(folder: Path) -> str:
    """Build a Bento of the bundle in a folder and the code of the checkout at hand; returns its tag.

    Raises:
        BundleError: the bundle is incomplete or altered, or no Bento can be built of it.
    """
    from emofuse.inference.bundle import load_bundle  # with torch, which storing does without

    load_bundle(folder)
    store_bundle(folder)
    with tempfile.TemporaryDirectory(prefix="emofuse-") as name:
        context = Path(name)
        for part in ("src", *CONTEXT):
            source = Path(part)
            shutil.copytree(source, context / part) if source.is_dir() else shutil.copy(source, context / part)
        shutil.copytree(folder, context / "models" / "champion")
        # In a process of its own: BentoML imports the service from the folder that it builds.
        env = os.environ | {"PYTHONPATH": str(context / "src")}
        command = [sys.executable, "-m", "bentoml", "build", "--output", "tag"]
        done = subprocess.run(command, cwd=context, env=env, capture_output=True, text=True, check=False)
    tag = re.search(rf"{MODEL_NAME}:\w+", done.stdout)
    if done.returncode or not tag:
        raise BundleError(f"bentoml build failed: {done.stderr.strip()[-500:]}")
    return tag.group()
