"""What one trained model says of any number of rows."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from emofuse.fusion.base import Batch, Fusion

ROWS = 512  # that a member answers at a time


@torch.inference_mode()
def member_answer(member: Fusion, batch: Batch) -> Tensor:
    """One member's probabilities, float64 of shape (n, classes)."""
    return torch.cat([member(part).double().softmax(dim=1) for part in _parts(batch)])


@torch.inference_mode()
def member_weights(member: Fusion, batch: Batch) -> Tensor:
    """One member's modality weights, shape (n, modalities)."""
    rows = ROWS // (1 + batch.mask.shape[1])  # each of which is answered once more for each modality
    return torch.cat([member.modality_weights(part) for part in _parts(batch, rows)])


def _parts(batch: Batch, rows: int = ROWS) -> Iterator[Batch]:
    """So many rows at a time as stay in a processor's cache: half as fast again as thousands at once."""
    count = len(batch.mask)
    for start in range(0, max(count, 1), rows):
        yield batch if count <= rows else batch.rows(slice(start, start + rows))  # a slice copies nothing
