"""What stands in a bundle's folder, and what its description tells without torch and without loading the weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from emofuse.core.errors import BundleError
from emofuse.core.files import write_json
from emofuse.core.learnt import LearntFrom, Reached
from emofuse.core.weights import TRAVELLING
from emofuse.fusion.names import MODELS, PRETRAINED

FORMAT = 7
DESCRIPTION, WEIGHTS, CARD = "bundle.json", "weights.safetensors", "model_card.md"
SCORES = "scores.json"  # what the model reaches; as the card, no part of its version
FINETUNED = "finetuned"  # folder of the finetuned text encoders
ASSETS = "assets"  # folder of other weights that extractors need, each under its hash


def finished_models(folder: Path) -> tuple[str, ...]:
    """The names of the models in a folder: those that are always made, and the classifiers where there are any."""
    return (*MODELS, *((PRETRAINED,) if (folder / PRETRAINED / DESCRIPTION).is_file() else ()))


def bundle_version(folder: Path) -> str:
    """The version of the bundle in a folder, without loading it.

    Raises:
        BundleError: there is no bundle.
    """
    return hashlib.sha256(file_bytes(folder / DESCRIPTION)).hexdigest()


def bundle_labels(folder: Path) -> tuple[str, ...]:
    """The classes of the bundle in a folder, without loading it.

    Raises:
        BundleError: there is no bundle.
    """
    return tuple(json.loads(file_bytes(folder / DESCRIPTION))["labels"])


def bundle_learnt_from(folder: Path) -> LearntFrom:
    """What the bundle in a folder has learnt from, without loading it.

    Raises:
        BundleError: there is no bundle.
    """
    return LearntFrom.model_validate(json.loads(file_bytes(folder / DESCRIPTION))["learnt_from"])


def read_reached(folder: Path) -> Reached:
    """What is recorded of what the model in a folder reaches; nothing where no file of it is there."""
    path = folder / SCORES
    return Reached.model_validate_json(path.read_bytes()) if path.exists() else Reached()


def write_reached(folder: Path, reached: Reached) -> None:
    """Record it beside the bundle."""
    write_json(folder / SCORES, reached.model_dump(mode="json"))


def encoders_folder(folder: Path) -> Path:
    """Where the finetuned encoders of the bundle in a folder lie: in it, or beside it, one copy for many bundles."""
    return folder / FINETUNED if (folder / FINETUNED).is_dir() else folder.parent / FINETUNED


def copy_bundle(source: Path, target: Path) -> None:
    """Copy a bundle in place of what stood there, with finetuned encoders and assets, so that it is whole anywhere.

    Raises:
        BundleError: there is no bundle, or its encoders are not there.
        EncoderError: a package that holds its weights is not installed.
    """
    described = json.loads(file_bytes(source / DESCRIPTION))
    names = described["finetuned"]
    aside = target.with_name(f".{target.name}.{uuid4().hex[:8]}.tmp")
    try:
        shutil.copytree(source, aside)
        if names:
            copy_files(encoders_folder(source), names, aside / FINETUNED)
        for digest in described["assets"]:
            weights = TRAVELLING[digest].path(aside / ASSETS).read_bytes()
            (aside / ASSETS).mkdir(exist_ok=True)
            (aside / ASSETS / digest).write_bytes(weights)
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def copy_files(source: Path, names: Iterable[str], target: Path) -> None:
    """Copy some files of a folder.

    Raises:
        BundleError: one of them is not there.
    """
    target.mkdir(exist_ok=True)
    for name in names:
        (target / name).write_bytes(file_bytes(source / name))


def file_bytes(path: Path) -> bytes:
    """The bytes of one of a bundle's files.

    Raises:
        BundleError: it is not there.
    """
    try:
        return path.read_bytes()
    except OSError:
        raise BundleError(
            f"{path}: no such file; expected a bundle folder such as models/champion. Run `dvc repro`"
        ) from None
