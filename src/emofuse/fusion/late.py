"""Late fusion: a classifier a modality, and learned weights over their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from emofuse.fusion.base import Batch, Fusion, balanced, perceptron
from emofuse.fusion.objective import Objective


class LateFusion(Fusion):
    """The weighted mean of each present modality's probabilities; with none present, a learned prior answers."""

    kind = "late"

    def __init__(self, dims: Mapping[str, int], classes: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__(dims, classes)
        self.heads = nn.ModuleDict({name: perceptron(width, hidden, classes, dropout) for name, width in dims.items()})
        self.weight_logits = nn.Parameter(torch.zeros(len(dims)))
        self.prior = nn.Parameter(torch.zeros(classes))

    def forward(self, batch: Batch) -> Tensor:
        """Log-probabilities of shape (n, classes), which are logits of themselves."""
        return self._fuse(batch, self._heads(batch))

    def loss(self, batch: Batch, targets: Tensor, objective: Objective) -> Tensor:
        """The loss of the fused answer, and of each head on its present rows, so that no head leans on another."""
        heads = self._heads(batch)
        fused = self._fuse(batch, heads)
        losses = [objective.mean(fused, targets), objective.mean(self.prior.expand(len(targets), -1), targets)]
        whole = objective.weights[targets].sum()
        for index in range(len(self.modalities)):
            present = batch.mask[:, index]
            losses.append(objective.total(heads[present, index], targets[present]) / whole)
        return torch.stack(losses).sum()

    def modality_weights(self, batch: Batch) -> Tensor:
        """The learned weights, renormalised over the modalities present, shape (n, modalities)."""
        weights = self.weight_logits.softmax(dim=0) * batch.mask
        return weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-12)

    def _heads(self, batch: Batch) -> Tensor:
        return torch.stack([self._head(batch, number) for number in range(len(self.modalities))], dim=1)

    def _head(self, batch: Batch, number: int) -> Tensor:
        name = self.modalities[number]
        if not self.training and not batch.mask[:, number].any():  # many a request is a text alone
            return torch.zeros(len(batch.mask), self.classes, device=batch.mask.device)
        logits: Tensor = self.heads[name](balanced(batch.inputs[name]))
        return logits

    def _fuse(self, batch: Batch, heads: Tensor) -> Tensor:
        weights = self.modality_weights(batch).unsqueeze(2)
        fused = (weights * heads.softmax(dim=2)).sum(dim=1).clamp(min=1e-12).log()
        anything = batch.mask.any(dim=1, keepdim=True)
        return torch.where(anything, fused, self.prior.log_softmax(dim=0))
