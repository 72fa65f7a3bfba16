"""The bundle: a folder with all that a prediction needs, and nothing that runs when it is loaded.

`bundle.json` names the model, what it has learnt from, its labels, features and params, and the hash of
`weights.safetensors`, which holds the members' weights, the scalers and the moments of the training rows. The hash of
`bundle.json` is therefore the hash of the bundle: its version.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from emofuse.core.errors import BundleError
from emofuse.core.hub import pinned
from emofuse.core.learnt import LearntFrom
from emofuse.core.params import EXTRACTOR_PARAMS, TrainParams
from emofuse.core.weights import travelling
from emofuse.fusion.familiarity import Familiarity, familiarity_tensors, moments_from_tensors
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import scaler_tensors, scalers_from_tensors
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.description import (
    ASSETS,
    CARD,
    DESCRIPTION,
    FINETUNED,
    FORMAT,
    WEIGHTS,
    copy_files,
    encoders_folder,
    file_bytes,
)

# What Python or torch would run code from: by name, and by how pickles and the zip files of torch.save begin.
RUNNABLE = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".dill", ".npy", ".npz", ".py", ".pyc", ".so"}
RUNNABLE_STARTS = (*(bytes([0x80, protocol]) for protocol in range(2, 6)), b"PK\x03\x04")


def save_bundle(bundle: Bundle, folder: Path) -> str:
    """Write a bundle, aside and then renamed, in place of what stood there.

    Finetuned encoders are copied into it, unless they lie beside it: there one copy serves all bundles.

    Returns:
        Its version.
    """
    tensors = scaler_tensors(bundle.scalers)
    for number, member in enumerate(bundle.members):
        for key, value in member.state_dict().items():
            tensors[f"member.{number}.{key}"] = value.numpy()
    if bundle.familiarity is not None:
        tensors |= familiarity_tensors(bundle.familiarity)
    weights = save(tensors)
    finetuned = _hashes(bundle.finetuned) if bundle.finetuned else {}
    described = _describe(bundle, hashlib.sha256(weights).hexdigest(), finetuned)
    description = json.dumps(described, indent=1, sort_keys=True) + "\n"
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.tmp")
    try:
        aside.mkdir()
        (aside / WEIGHTS).write_bytes(weights)
        (aside / DESCRIPTION).write_text(description, encoding="utf-8")
        if bundle.finetuned and bundle.finetuned.resolve() != (folder.parent / FINETUNED).resolve():
            copy_files(bundle.finetuned, finetuned, aside / FINETUNED)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return hashlib.sha256(description.encode()).hexdigest()


def load_bundle(folder: Path) -> Bundle:
    """Load and verify a bundle. Nothing in it is run.

    Raises:
        BundleError: it is incomplete, altered, or of a format that this release doesn't read.
    """
    raw, weights = file_bytes(folder / DESCRIPTION), file_bytes(folder / WEIGHTS)
    _refuse_code(folder)
    try:
        described = json.loads(raw)
        if described["format"] != FORMAT:
            raise BundleError(
                f"{folder}: found bundle format {described['format']}, expected {FORMAT}; "
                "install the release of emofuse that wrote it, or train again"
            )
        digest = hashlib.sha256(weights).hexdigest()
        if digest != described["weights_sha256"]:
            raise BundleError(
                f"{folder / WEIGHTS}: found sha256 {digest}, expected {described['weights_sha256']}; "
                "the file was altered: fetch it again or train again"
            )
        bundle = _build(described, load(weights), hashlib.sha256(raw).hexdigest())
        _verify_classifiers(bundle)
        return replace(
            bundle,
            finetuned=_encoders(folder, described) if described["finetuned"] else None,
            assets=(folder / ASSETS).resolve() if described["assets"] else None,
        )
    except (KeyError, TypeError, ValueError, ValidationError, SafetensorError, RuntimeError) as error:
        raise BundleError(f"{folder}: not a bundle of format {FORMAT}: {error}; train again") from None


def _encoders(folder: Path, described: dict[str, Any]) -> Path:
    """The folder of a bundle's finetuned encoders, which are those that it was trained with and no others."""
    place, wanted = encoders_folder(folder), described["finetuned"]
    stored = _hashes(place)
    wrong = sorted(name for name in {*stored, *wanted} if stored.get(name) != wanted.get(name))
    if wrong:
        raise BundleError(
            f"{place}: {', '.join(wrong)} missing, altered or not of this bundle; fetch the bundle again or train again"
        )
    return place


def _verify_classifiers(bundle: Bundle) -> None:
    """A bundle of classifiers refers to their weights, which must be those that it was made of."""
    for each in bundle.learnt_from.classifiers:
        _, sha256 = pinned(f"pretrained.{each.modality}", each.name)
        if sha256 != each.sha256:
            raise BundleError(
                f"{each.name}: found weights of sha256 {sha256}, expected {each.sha256}, of which the bundle was made; "
                "bring them back, or make the bundle again"
            )


def _hashes(folder: Path) -> dict[str, str]:
    """The sha256 of each file of the finetuned encoders that a prediction needs."""
    files = sorted(path for path in folder.glob("*") if path.suffix in (".json", ".safetensors"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _refuse_code(folder: Path) -> None:
    """A bundle holds numbers and texts; whoever put code beside them expects it to be run."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            start = file.read(4)
        weights = path.parent == folder / FINETUNED and path.suffix == ".safetensors"
        # Ours are verified by hash, and their first bytes may be any.
        ours = weights or path in (folder / DESCRIPTION, folder / WEIGHTS)
        if path.suffix.lower() in RUNNABLE or (start.startswith(RUNNABLE_STARTS) and not ours):
            raise BundleError(
                f"{path}: found a file that could run code when it is loaded, expected {DESCRIPTION}, {WEIGHTS} and "
                f"{CARD}; don't trust this folder: fetch the bundle again or train again"
            )


def _describe(bundle: Bundle, weights_sha256: str, finetuned: Mapping[str, str]) -> dict[str, Any]:
    familiarity = bundle.familiarity
    return {
        "format": FORMAT,
        "model": bundle.name,
        "labels": bundle.labels,
        "modalities": list(bundle.features),  # their order is that of the weights; an object's keys have none
        "features": bundle.features,
        "extractors": {modality: params.model_dump(mode="json") for modality, params in bundle.extractors.items()},
        "train": bundle.train.model_dump(mode="json"),
        "seed": bundle.seed,
        "learnt_from": bundle.learnt_from.model_dump(mode="json"),
        "familiarity": familiarity
        and {"thresholds": familiarity.thresholds, "false_alarms": round(familiarity.false_alarms, 6)},
        "numerics": bundle.numerics,
        "members": [member.kind for member in bundle.members],
        "weights": bundle.weights,
        "temperature": bundle.temperature,
        "finetuned": finetuned,
        "assets": travelling(bundle.extractors.values()),
        "weights_sha256": weights_sha256,
    }


def _familiarity(
    described: dict[str, Any] | None, tensors: dict[str, np.ndarray[Any, Any]], dims: Mapping[str, int]
) -> Familiarity | None:
    if described is None:
        return None
    moments = moments_from_tensors(tensors)
    if moments.keys() != described["thresholds"].keys() or any(len(m.mean) != dims[n] for n, m in moments.items()):
        raise ValueError("familiarity names other modalities or widths than the moments beside it")
    return Familiarity(moments, described["thresholds"], described["false_alarms"])


def _build(described: dict[str, Any], tensors: dict[str, np.ndarray[Any, Any]], version: str) -> Bundle:
    features = {modality: tuple(described["features"][modality]) for modality in described["modalities"]}
    train = TrainParams.model_validate(described["train"])
    scalers = scalers_from_tensors(tensors)
    dims = {modality: scalers[modality].width for modality in features}
    for modality, names in features.items():
        if len(names) != len(scalers[modality].mean):
            raise ValueError(f"{modality} has {len(names)} feature names, but scalers of {len(scalers[modality].mean)}")
    if len(set(described["labels"])) < len(described["labels"]):
        raise ValueError(f"labels are not unique: {described['labels']}")
    members = []
    for number, kind in enumerate(described["members"]):
        # What is drawn here is overwritten; on torch's meta device nothing is, but to load that takes longer.
        member = make_model(kind, dims, len(described["labels"]), train)
        prefix = f"member.{number}."
        state = {key.removeprefix(prefix): torch.from_numpy(v) for key, v in tensors.items() if key.startswith(prefix)}
        member.load_state_dict(state)
        members.append(member.eval())
    return Bundle(
        name=described["model"],
        labels=tuple(described["labels"]),
        features=features,
        extractors={m: EXTRACTOR_PARAMS[m].model_validate(described["extractors"][m]) for m in features},
        scalers=scalers,
        train=train,
        seed=described["seed"],
        learnt_from=LearntFrom.model_validate(described["learnt_from"]),
        familiarity=_familiarity(described["familiarity"], tensors, dims),
        numerics=described["numerics"],
        members=members,
        weights=tuple(described["weights"]),
        temperature=described["temperature"],
        version=version,
    )
