"""What every pretrained encoder has in common: where it comes from, and what is said where it can't be had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from safetensors import SafetensorError

from emofuse.core.errors import EncoderError


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


def layer_numbers(param: str, layers: Literal["all"] | Sequence[int], name: str, depth: int) -> list[int]:
    """The layers of an encoder that are pooled, counted from 0, which is its embeddings.

    Args:
        param: that names them, such as `text.layers`.
        layers: all, or some; below 0 they are counted from the last.
        name: the encoder.
        depth: how many layers it has, the embeddings among them.

    Raises:
        EncoderError: one isn't there.
    """
    wanted = range(depth) if layers == "all" else layers
    wrong = [layer for layer in wanted if not -depth <= layer < depth]
    if wrong:
        raise EncoderError(f"{param} names {wrong}, but {name!r} has layers 0 (embeddings) to {depth - 1}")
    return [layer % depth for layer in wanted]
