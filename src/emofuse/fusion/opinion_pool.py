"""Classifiers that were trained elsewhere, as one model: their classes under the names of the data's, pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from emofuse.core.linear import linear
from emofuse.fusion.base import Batch, Fusion

FLOOR = 1e-3  # the least that a classifier gives a class, so that none is impossible and nobody too sure


class PretrainedPool(Fusion):
    """The logarithmic opinion pool of the present classifiers; with none present all classes are as probable.

    A classifier's inputs are its probabilities. What it gives to labels that are no class of the data, and the classes
    that it has no label for but others have, it is taken to know nothing of: both are spread evenly. So it neither
    rules out what it was never taught nor decides by it. Nothing in it is trained.
    """

    kind = "pretrained"
    weights: Tensor

    def __init__(self, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(dims, classes)
        for name, width in dims.items():
            self.register_buffer(f"map_{name}", torch.zeros(classes, width))
        self.register_buffer("weights", torch.ones(len(dims)))

    def set_maps(self, maps: Mapping[str, Tensor]) -> None:
        """Take over which column is which class: of each modality 0 or 1, of shape (classes, width)."""
        for name in self.modalities:
            self.register_buffer(f"map_{name}", maps[name].float())

    def set_weights(self, weights: Sequence[float]) -> None:
        """Take over what each modality weighs, 0 or more; above 0 in all."""
        self.weights = torch.tensor(weights, dtype=torch.float32) / sum(weights)

    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (n, classes)."""
        return (self.modality_weights(batch).unsqueeze(2) * self.opinions(batch).log()).sum(dim=1)

    def modality_weights(self, batch: Batch) -> Tensor:
        """The weights, renormalised over the modalities present, alike where these weigh nothing; (n, modalities)."""
        weights = self.weights * batch.mask
        total = weights.sum(dim=1, keepdim=True)
        alike = batch.mask / batch.mask.sum(dim=1, keepdim=True).clamp(min=1)
        return torch.where(total > 0, weights / total.clamp(min=1e-12), alike)

    def opinions(self, batch: Batch) -> Tensor:
        """What each classifier says, probabilities of shape (n, modalities, classes); even where it is absent."""
        covered = torch.stack([self._map(name).any(dim=1) for name in self.modalities])
        answered = covered.any(dim=0)
        parts = []
        for index, name in enumerate(self.modalities):
            own = covered[index].float()
            shares = linear(batch.inputs[name], self._map(name))
            total = shares.sum(dim=1, keepdim=True)
            rest = (1 - total).clamp(min=0)
            shares = (shares + rest * own / own.sum().clamp(min=1)) / (total + rest)
            others = (answered & ~covered[index]).float()
            shares = (shares * own.sum() + others) / answered.sum().clamp(min=1)
            parts.append(torch.where(batch.mask[:, [index]], shares, 1 / self.classes).clamp(min=FLOOR))
        opinions = torch.stack(parts, dim=1)
        return opinions / opinions.sum(dim=2, keepdim=True)

    def _map(self, name: str) -> Tensor:
        return self.get_buffer(f"map_{name}")
