"""Bundles in the BentoML model store, each under its own hash."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import bentoml

from emofuse.bundle import WEIGHTS, bundle_version

MODEL_NAME = "emofuse"


def model_tag(folder: Path) -> str:
    """The store's tag of the bundle in a folder: its name and the first 16 digits of its hash."""
    return f"{MODEL_NAME}:{bundle_version(folder)[:16]}"


def champion_tag(folder: Path) -> str:
    """The tag of the bundle to serve, saved to the store first where it is not there yet (after `dvc pull`, say).

    In a Bento only the bundle's description lies in `folder`; its weights come with the Bento's own store.
    """
    return store_bundle(folder) if (folder / WEIGHTS).exists() else model_tag(folder)


def store_bundle(folder: Path, labels: Mapping[str, str] | None = None) -> str:
    """Save a bundle to the store unless it is there; with other labels, replace it.

    Returns:
        Its tag.
    """
    tag = model_tag(folder)
    try:
        known = bentoml.models.get(tag)
        if labels is None or dict(known.info.labels) == dict(labels):
            return tag
        bentoml.models.delete(tag)
    except bentoml.exceptions.NotFound:
        pass
    with bentoml.models.create(tag, labels=dict(labels or {})) as model:
        for path in folder.iterdir():
            shutil.copy(path, model.path_of(path.name))
    return tag
