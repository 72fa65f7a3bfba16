"""Weights that come in a data package, which is read and never imported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from emofuse.core.errors import EncoderError


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

    def path(self) -> Path:
        """Where the file is, found without importing the package and verified by hash.

        Raises:
            EncoderError: the package is not installed, or the file is not the one that was published.
        """
        spec = find_spec(self.package)
        if spec is None or spec.origin is None:
            raise EncoderError(f"the package {self.package}, which holds {self.file}, is not installed; {self.remedy}")
        path = Path(spec.origin).parent / self.file
        if not path.is_file():
            raise EncoderError(f"{path}: no such file; reinstall {self.package}: {self.remedy}")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.sha256:
            raise EncoderError(f"{path}: found sha256 {digest}, expected {self.sha256}; reinstall {self.package}")
        return path
