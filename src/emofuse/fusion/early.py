"""Early fusion: the features of all modalities side by side, and one classifier over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from emofuse.fusion.base import Batch, Fusion, balanced, perceptron


class EarlyFusion(Fusion):
    """A perceptron over the concatenation of all modalities, balanced, and the presence mask.

    With one modality it is that modality's baseline.
    """

    kind = "early"

    def __init__(self, dims: Mapping[str, int], classes: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__(dims, classes)
        self.classifier = perceptron(sum(dims.values()) + len(dims), hidden, classes, dropout)

    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (n, classes)."""
        blocks = [balanced(values) for values in batch.inputs.values()]
        logits: Tensor = self.classifier(torch.cat([*blocks, batch.mask.float()], dim=1))
        return logits
