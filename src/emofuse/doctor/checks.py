"""Whether this machine gives the bytes that portable numerics promise, and where it doesn't, at which step.

A fingerprint is committed: hashes of what each step of the pipeline makes of three clips of the built-in corpus and of
a training on drawn numbers. Each step starts from what is the same everywhere, so that the first that differs is the
one to look at.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from emofuse.core import numerics
from emofuse.core.device import available_cores
from emofuse.core.errors import DataError
from emofuse.core.files import read_json, write_json
from emofuse.core.params import EXTRACTOR_PARAMS, Params, TrainParams
from emofuse.core.records import Extracted, FeatureTable, Utterance
from emofuse.features.registry import make_extractor
from emofuse.fusion.base import Batch
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import Scaler, scaler_tensors
from emofuse.training.calibration import fit_temperature
from emofuse.training.folds import Origins
from emofuse.training.loop import Rows, Trained, train

FINGERPRINT = Path(__file__).with_name("fingerprint.json")
CORPUS = Path("data/corpus")
CLIPS = ("train_splits/dia0_utt0.mp4", "train_splits/dia1_utt0.mp4", "output_repeated_splits_test/dia0_utt1.mp4")
TEXTS = ("What a surprise!", "I never said that, and you know it.", "Fine.")
CLASSES, SEED = 5, 13


@dataclass(frozen=True)
class Step:
    """What a step came to: its name, the hash that is expected, and the actual one; None where it couldn't be run."""

    name: str
    expected: str
    actual: str | None

    @property
    def same(self) -> bool:
        """Whether it came out to the byte."""
        return self.actual == self.expected


def machine() -> dict[str, str]:
    """What decides rounding here, for a report of what differs."""
    promise = numerics.promise(numerics.current())
    return {
        "processor": numerics.processor(),
        "cores": str(available_cores()),
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver()) or 'unknown C library'}",
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "numerics": f"{numerics.current()}{f'; {promise}' if promise else ''}",
        "pinned": ", ".join(f"{name}={os.environ.get(name)}" for name in numerics.PINS[numerics.current()]),
        "libraries": ", ".join(f"{name} {version}" for name, version in numerics.versions().items()),
    }


def examine(corpus: Path = CORPUS) -> Iterator[Step]:
    """Run each step and compare it with the committed fingerprint; without the clips, the steps that need none.

    Raises:
        DataError: the fingerprint was made by another release, whose params are others.
    """
    committed = read_json(FINGERPRINT)
    for name, run in _steps(committed["params"], corpus).items():
        try:
            actual = run()
        except FileNotFoundError:
            actual = None
        except ValidationError as error:
            raise DataError(
                f"{FINGERPRINT}: its params of the step {name} are those of another release ({error.error_count()} "
                "differ); run `emofuse doctor --update` where the bytes are known to be right"
            ) from None
        yield Step(name, committed["steps"].get(name, "none"), actual)


def write_fingerprint(params: Params, corpus: Path = CORPUS) -> None:
    """Write the fingerprint that this machine gives, which others are then held to.

    Raises:
        FileNotFoundError: the clips of the built-in corpus aren't there.
    """
    kept = {
        name: getattr(params, name).model_dump(mode="json") for name in ("text", "audio", "visual", "scale", "train")
    }
    kept["train"] |= {"folds": 2, "seeds": 1, "epochs": 1, "steps": 2, "batch_size": 16}
    # Through JSON, as `examine` will read them.
    steps = {name: run() for name, run in _steps(json.loads(json.dumps(kept)), corpus).items()}
    write_json(FINGERPRINT, {"params": kept, "steps": steps})


def _steps(params: dict[str, Any], corpus: Path) -> dict[str, Callable[[], str]]:
    steps: dict[str, Callable[[], str]] = {"clips": partial(_clips, corpus)}
    for modality in ("text", "audio", "visual"):
        steps[modality] = partial(_features, modality, params, corpus)
    steps["scale"] = partial(_scale, params["scale"])
    steps |= {f"training, {kind}": partial(_training, kind, params["train"]) for kind in ("early", "late", "attention")}
    return steps | {"calibration": _calibration}


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def _clips(corpus: Path) -> str:
    return _hash(*((corpus / clip).read_bytes() for clip in CLIPS))


def _features(modality: str, params: dict[str, Any], corpus: Path) -> str:
    clips = [corpus / clip for clip in CLIPS]
    if modality != "text":
        for clip in clips:
            clip.stat()
    extractor = make_extractor(EXTRACTOR_PARAMS[modality].model_validate(params[modality]))
    asked = [Utterance(clip=clip, text=text) for clip, text in zip(clips, TEXTS, strict=True)]
    rows = dict(extractor.stream(asked))
    return _hash(*(b"" if (values := rows[n].values) is None else values.tobytes() for n in range(len(asked))))


def _drawn(*shape: int) -> np.ndarray[Any, Any]:
    """Numbers that are drawn alike everywhere, by integers alone."""
    return np.random.default_rng(SEED).integers(-(2**20), 2**20, shape).astype(np.float32) / 2**18


def _scale(params: dict[str, Any]) -> str:
    values = _drawn(40, 90)
    table = FeatureTable.stack([f"hog_{n}" for n in range(90)], [Extracted(row) for row in values])
    scaler = Scaler.fit(table, params["clip"], [("hog", 16)])
    tensors = scaler_tensors({"visual": scaler}) | {"transformed": scaler.transform(table)}
    return _hash(*(tensors[name].tobytes() for name in sorted(tensors)))


def _trained(kind: str, params: TrainParams) -> Trained:
    dims = {"text": 300, "audio": 40}
    rows = len(targets := np.arange(48) % CLASSES)
    inputs = {name: torch.from_numpy(_drawn(rows, width)) for name, width in dims.items()}
    batch = Batch(inputs, torch.ones(rows, len(dims), dtype=torch.bool))
    dialogues = [str(row // 4) for row in range(rows)]
    make = partial(make_model, kind, dims, CLASSES, params)
    return train(make, Rows(batch, torch.from_numpy(targets)), Origins(dialogues), params, SEED)


def _training(kind: str, params: dict[str, Any]) -> str:
    trained = _trained(kind, TrainParams.model_validate(params))
    states = [member.state_dict() for member in trained.members]
    return _hash(trained.held_out.tobytes(), *(state[name].numpy().tobytes() for state in states for name in state))


def _calibration() -> str:
    drawn = _drawn(60, CLASSES).astype(np.float64) ** 2 + 0.1
    probabilities = drawn / drawn.sum(axis=1, keepdims=True)
    return _hash(str(fit_temperature(probabilities, np.arange(60) % CLASSES)).encode())
