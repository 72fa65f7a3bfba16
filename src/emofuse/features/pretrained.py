"""What every pretrained encoder has in common: its layers, and its own classes where it is a classifier."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from emofuse.core.errors import EncoderError
from emofuse.features.contract import FeatureGroup

UNNAMED = re.compile(r"LABEL_\d+")  # what transformers calls a class that nobody has named


def own_labels(config: Any) -> tuple[str, ...]:
    """The classes of a classifier, by its configuration, in the order of its outputs."""
    return tuple(str(config.id2label[number]) for number in range(config.num_labels))


def class_group(name: str, stem: str, labels: Sequence[str], formula: str, encoder: str) -> FeatureGroup:
    """The columns that hold the probability of each of an encoder's own classes.

    Args:
        name: of the group.
        stem: how the columns' names begin.
        labels: of the classes.
        formula: how the columns are computed.
        encoder: its name.
    """
    plain = [re.sub(r"[^a-z0-9]+", "_", label.casefold()).strip("_") for label in labels]
    columns = tuple(f"{stem}_{number:02d}_{label}" for number, label in enumerate(plain))
    return FeatureGroup(name, columns, formula, "1 (0 to 1)", f"transformers, {encoder}")


def layer_numbers(
    param: str, layers: Literal["all"] | Sequence[int], name: str, depth: int, classifier: bool = False
) -> list[int]:
    """The layers of an encoder that are pooled, counted from 0, which is its embeddings.

    Args:
        param: that names them, such as `text.layers`.
        layers: all, or some; below 0 they are counted from the last.
        name: the encoder.
        depth: how many layers it has, the embeddings among them.
        classifier: whether it has classes of its own, so that none of its layers need be chosen.

    Raises:
        EncoderError: one isn't there, or nothing is chosen at all.
    """
    if not layers and not classifier:
        raise EncoderError(
            f"{param} is empty, which leaves the classes of a classifier, and {name!r} is none; name one, or layers"
        )
    wanted = range(depth) if layers == "all" else layers
    wrong = [layer for layer in wanted if not -depth <= layer < depth]
    if wrong:
        raise EncoderError(f"{param} names {wrong}, but {name!r} has layers 0 (embeddings) to {depth - 1}")
    return [layer % depth for layer in wanted]
