"""The identity of an extractor: everything but the utterance that its features depend on."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from emofuse.core import numerics
from emofuse.core.params import EMBEDDED, AudioParams, ExtractorParams, VisualParams

PACKAGE = Path(__file__).parents[1]
# The rooms that make the features, and the libraries that they compute with. A test compares them with the imports.
SOURCES = {
    "text": ("core/linear.py", "extraction/content.py", "features/pretrained.py", "features/text"),
    "audio": (
        "core/linear.py",
        "extraction/clips.py",
        "features/audio",
        "features/contract.py",
        "features/pretrained.py",
        "media",
        "transcription/voice_activity.py",
    ),
    "visual": (
        "core/linear.py",
        "extraction/clips.py",
        "features/contract.py",
        "features/pretrained.py",
        "features/visual",
        "media",
    ),
    "transcript": (
        "core/linear.py",
        "extraction/clips.py",
        "features/audio/whisper.py",
        "media",
        "transcription",
    ),
}
LIBRARIES = {
    "text": ("torch", "transformers", "tokenizers"),
    "audio": ("av", "numpy", "scipy"),
    "visual": ("av", "numpy", "opencv-python-headless"),
    "transcript": ("av", "numpy", "scipy", "tokenizers", "torch", "transformers"),
}
ENCODING = ("torch", "transformers")  # of sounds and faces, where they are encoded
HEARING = {"recogniser", "language"}  # what of text's section a transcript depends on
# Of the other sections all but what makes columns that are not cached.
LEFT_OUT = {"finetune", "transcribe", *HEARING}


def identity(modality: str, params: ExtractorParams) -> str:
    """A hash of an extractor's params, its code and the versions of its libraries.

    What decides rounding is part of it; how it is run (workers, batches, engine) is not.
    """
    encodes = isinstance(params, AudioParams | VisualParams) and (
        params.encoder != "none" or "activity" in params.groups
    )
    hearing = modality == "transcript"
    name: str | None = getattr(params, "recogniser" if hearing else "encoder", None)
    parts = {
        "modality": modality,
        "params": params.model_dump(
            mode="json", include=HEARING if hearing else None, exclude=LEFT_OUT - HEARING if hearing else LEFT_OUT
        ),
        "code": [source_hash(name) for name in SOURCES[modality]],
        "libraries": [version(name) for name in (*LIBRARIES[modality], *(ENCODING if encodes else ()))],
        "numerics": numerics.numerics_identity(),
        "encoder": encoder_identity(name) if name else None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def source_hash(name: str) -> str:
    """The hash of a file of the package, or of all modules in a folder, which are read and not imported."""
    path = PACKAGE / name
    modules = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return hashlib.sha256(b"".join(hashlib.sha256(module.read_bytes()).digest() for module in modules)).hexdigest()


def encoder_identity(name: str) -> str:
    """What tells one encoder from another: the hash of its files where it is a local folder, else its name."""
    folder = Path(name)
    if name == EMBEDDED or not folder.is_dir():
        return name
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest.update(path.relative_to(folder).as_posix().encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
