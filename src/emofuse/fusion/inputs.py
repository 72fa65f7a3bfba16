"""From feature tables to what fusion models read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from emofuse.core.records import FeatureTable
from emofuse.fusion.base import Batch
from emofuse.fusion.context import Lines
from emofuse.fusion.scaling import Scaler


def make_batch(
    tables: Mapping[str, FeatureTable],
    scalers: Mapping[str, Scaler],
    modalities: Sequence[str],
    lines: Lines | None = None,
) -> Batch:
    """Scale n rows of the given modalities and stack their presence to a mask of shape (n, modalities)."""
    inputs = {name: torch.from_numpy(scalers[name].transform(tables[name])) for name in modalities}
    mask = torch.stack([torch.from_numpy(tables[name].present) for name in modalities], dim=1)
    return Batch(inputs, mask, None if lines is None else lines.scaled(scalers["text"]))
