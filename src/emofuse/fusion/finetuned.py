"""What finetuned text encoders say, as a member of an ensemble."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from emofuse.fusion.base import Batch, Fusion
from emofuse.fusion.scaling import Scaler


class FinetunedScores(Fusion):
    """The class scores among the text features, the last columns of them; without text, the prior.

    Nothing in it is trained. A network that reads these columns beside thousands of others makes less of them.
    """

    kind = "finetuned"
    mean: Tensor
    std: Tensor
    prior: Tensor

    def __init__(self, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(dims, classes)
        self.register_buffer("mean", torch.zeros(classes))
        self.register_buffer("std", torch.ones(classes))
        self.register_buffer("prior", torch.zeros(classes))

    def fit(self, scaler: Scaler, targets: Tensor) -> FinetunedScores:
        """Take over what undoes the z-scores of the text features, and the class frequencies of the training rows."""
        self.mean = torch.from_numpy(scaler.mean[-self.classes :].copy())
        self.std = torch.from_numpy(scaler.std[-self.classes :].copy())
        counts = torch.bincount(targets, minlength=self.classes).clamp(min=1)
        self.prior = (counts / counts.sum()).log()
        return self

    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (n, classes)."""
        scores = batch.inputs["text"][:, -self.classes :] * self.std + self.mean
        present = batch.mask[:, [self.modalities.index("text")]]
        return torch.where(present, scores, self.prior)
