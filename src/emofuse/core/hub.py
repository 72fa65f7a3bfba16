"""Where pretrained weights come from: a model hub or a folder, and what is said where they can't be had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from emofuse.core.errors import EncoderError
from emofuse.core.params import EMBEDDED


def hub_place(name: str) -> tuple[str, str]:
    """A local folder, or the name of a model on the hub, and its revision, of a name such as `owner/model@revision`."""
    model, _, revision = ("", "", "") if Path(name).is_dir() else name.partition("@")
    return model or name, revision or "main"


def absolute_name(name: str) -> str:
    """The name of pretrained weights as it is good in any folder: a local folder's path, else the name itself."""
    return str(Path(name).resolve()) if Path(name).is_dir() and name != EMBEDDED else name


@contextmanager
def loading(param: str, name: str, others: str = "") -> Iterator[None]:
    """Turn what a model hub or a folder brings into one message.

    Args:
        param: that names the encoder, such as `text.encoder`.
        name: the encoder.
        others: what else the param may be, with a comma.

    Raises:
        EncoderError: the block failed.
    """
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        remedy = ""
        if "safetensors" in str(error) and isinstance(error, OSError):
            remedy = (
                ". Weights are read from safetensors alone, since a pickle may run code: if you trust the model, load "
                "and save_pretrained it once with transformers, and name that folder"
            )
        raise EncoderError(
            f"{param} {name!r} can't be loaded: {lines[0]}; expected {others}a folder that save_pretrained wrote, or "
            f"the name of a public model (the model hub must be in reach){remedy}"
        ) from None


def pinned(param: str, name: str) -> tuple[str, str]:
    """The name of pretrained weights with the commit of the hub that it stands for now, and their sha256.

    Args:
        param: that names them, such as `pretrained.text`.
        name: a local folder, or the name of a model on the hub, which is brought unless it is here.

    Raises:
        EncoderError: there is no such model, or it has no weights in safetensors.
    """
    place, revision = hub_place(name)
    folder = Path(place)
    with loading(param, name):
        if not folder.is_dir():
            from transformers.utils.hub import cached_file

            folder = Path(str(cached_file(place, "config.json", revision=revision))).parent
            with suppress(OSError):
                cached_file(place, "model.safetensors", revision=revision)
            if revision == "main" and not list(folder.glob("*.safetensors")):
                # The hub makes safetensors of a pickle under a revision of its own, which the weights are named by.
                from transformers.safetensors_conversion import auto_conversion

                folder = Path(str(auto_conversion(place)[0])).parent
                cached_file(place, "config.json", revision=folder.name)
            name = f"{place}@{folder.name}"
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise OSError(f"found no weights in safetensors in {folder}")
        digests = [_sha256(path) for path in files]
    return name, digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
