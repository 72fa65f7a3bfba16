"""What training minimises, and the ways in which it minds rare classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from emofuse.core.params import TrainParams


@dataclass(frozen=True)
class Objective:
    """Cross entropy, weighted, focused and adjusted.

    Attributes:
        weights: what a row of each class weighs, shape (classes,).
        adjustment: added to the logits in training alone, shape (classes,): the logarithms of the class frequencies,
            times a strength, so that the logits themselves needn't tell which classes are frequent (logit-adjusted
            loss: Menon et al., ICLR 2021).
        gamma: above 0, rows that are answered well already count less (focal loss: Lin et al., ICCV 2017).
    """

    weights: Tensor
    adjustment: Tensor
    gamma: float = 0.0

    @classmethod
    def fit(cls, targets: Tensor, classes: int, params: TrainParams) -> Objective:
        """The objective for the classes of these training rows, int64 of shape (n,)."""
        shares = torch.bincount(targets, minlength=classes).clamp(min=1) / len(targets)
        weights = class_weights(targets, classes, params.class_weight)
        return cls(weights, params.logit_adjustment * shares.log(), params.focal_gamma)

    def total(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum of the weighted losses of n rows, logits of shape (n, classes)."""
        adjusted = logits + self.adjustment
        if not self.gamma:
            return cross_entropy(adjusted, targets, weight=self.weights, reduction="sum")
        plain = cross_entropy(adjusted, targets, reduction="none")
        return (self.weights[targets] * (1 - (-plain).exp()) ** self.gamma * plain).sum()

    def mean(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The weighted mean of the losses of n rows."""
        return self.total(logits, targets) / self.weights[targets].sum()


def class_weights(targets: Tensor, classes: int, power: float) -> Tensor:
    """Inverse class frequencies to a power, scaled so that the mean row weighs 1; shape (classes,).

    The power between none (0) and full (1) balancing trades accuracy for recall of rare classes.
    """
    counts = torch.bincount(targets, minlength=classes).clamp(min=1).float()
    weights = counts.pow(-power)
    return weights / weights[targets].mean()
