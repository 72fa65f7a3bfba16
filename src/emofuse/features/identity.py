"""The identity of an extractor: everything but the utterance that its features depend on."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from emofuse.core import numerics
from emofuse.features.encoder import encoder_identity
from emofuse.params import ExtractorParams, TextParams

# The modules that make the features, and the libraries that they compute with. A test compares them with the imports.
SOURCES = {
    "text": ("features.content", "features.cues", "features.encoder", "features.text"),
    "audio": (
        "features.audio",
        "features.audio_groups",
        "features.base",
        "features.contours",
        "features.functionals",
        "features.sound",
        "features.speaking",
        "features.spectrum",
        "media",
    ),
    "visual": (
        "features.alignment",
        "features.base",
        "features.face_columns",
        "features.faces",
        "features.gabor",
        "features.motion",
        "features.patterns",
        "features.tracks",
        "features.visual",
        "media",
    ),
}
LIBRARIES = {
    "text": ("torch", "transformers", "tokenizers"),
    "audio": ("av", "numpy", "scipy"),
    "visual": ("av", "numpy", "opencv-python-headless"),
}


def identity(modality: str, params: ExtractorParams) -> str:
    """A hash of an extractor's params, its code and the versions of its libraries.

    What decides rounding is part of it; how it is run (workers, batches, engine) is not.
    """
    parts = {
        "modality": modality,
        "params": params.model_dump(mode="json", exclude={"finetune"}),  # whose columns are not cached
        "code": [_source_hash(name) for name in SOURCES[modality]],
        "libraries": [version(name) for name in LIBRARIES[modality]],
        "numerics": numerics.identity(),
        "encoder": encoder_identity(params.encoder) if isinstance(params, TextParams) else None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _source_hash(name: str) -> str:
    spec = find_spec(f"emofuse.{name}")  # found, not imported: an unchanged modality loads nothing
    assert spec is not None and spec.origin is not None
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
