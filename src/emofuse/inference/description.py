"""What stands in a bundle's folder, and what its description tells without torch and without loading the weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from emofuse.core.errors import BundleError

FORMAT = 4
DESCRIPTION, WEIGHTS, CARD = "bundle.json", "weights.safetensors", "model_card.md"
FINETUNED = "finetuned"  # folder of the finetuned text encoders


def bundle_version(folder: Path) -> str:
    """The version of the bundle in a folder, without loading it.

    Raises:
        BundleError: there is no bundle.
    """
    return hashlib.sha256(read_part(folder / DESCRIPTION)).hexdigest()


def bundle_labels(folder: Path) -> tuple[str, ...]:
    """The classes of the bundle in a folder, without loading it.

    Raises:
        BundleError: there is no bundle.
    """
    return tuple(json.loads(read_part(folder / DESCRIPTION))["labels"])


def read_part(path: Path) -> bytes:
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
