"""The contract of a fusion model."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from emofuse.core.linear import Linear
from emofuse.fusion.objective import Objective


@dataclass(frozen=True)
class Context:
    """The lines around n utterances, out of m lines that they share.

    Attributes:
        words: z-scores of the lines' text, float32 of shape (m, d); rows without words are zero.
        has_text: bool of shape (m,): which lines have words.
        index: int64 of shape (n, c), each a row of `words`, or -1 where there is no line.
        speaker: int64 of shape (n, c): 0 unknown, 1 another than the utterance's speaker, 2 the same.
    """

    words: Tensor
    has_text: Tensor
    index: Tensor
    speaker: Tensor

    def rows(self, index: Tensor | slice) -> Context:
        """The lines around the utterances of an index or a boolean mask."""
        return Context(self.words, self.has_text, self.index[index], self.speaker[index])

    def without(self, rows: Tensor) -> Context:
        """The same with no line around the utterances of `rows`, bool of shape (n,)."""
        return Context(self.words, self.has_text, self.index.masked_fill(rows.unsqueeze(1), -1), self.speaker)

    def to(self, device: str) -> Context:
        """The same on a device."""
        return Context(*(part.to(device) for part in (self.words, self.has_text, self.index, self.speaker)))


@dataclass(frozen=True)
class Batch:
    """n utterances.

    Attributes:
        inputs: z-scores a modality, each float32 of shape (n, d); rows of absent modalities are zero.
        mask: bool of shape (n, modalities), in the order of `inputs`: which modalities are present.
        context: the lines around them; None where no model reads any.
    """

    inputs: Mapping[str, Tensor]
    mask: Tensor
    context: Context | None = None

    def rows(self, index: Tensor | slice) -> Batch:
        """The rows of an index or a boolean mask."""
        context = None if self.context is None else self.context.rows(index)
        return Batch({name: values[index] for name, values in self.inputs.items()}, self.mask[index], context)

    def to(self, device: str) -> Batch:
        """The same on a device."""
        context = None if self.context is None else self.context.to(device)
        inputs = {name: values.to(device) for name, values in self.inputs.items()}
        return Batch(inputs, self.mask.to(device), context)

    def without_context(self, rows: Tensor) -> Batch:
        """The same with no line around the utterances of `rows`, bool of shape (n,)."""
        context = None if self.context is None else self.context.without(rows)
        return Batch(self.inputs, self.mask, context)

    def alone(self, modality: int) -> Batch:
        """The same with one modality, by its number, and neither the others nor any line around."""
        others = torch.arange(self.mask.shape[1], device=self.mask.device) != modality
        return Batch(self.inputs, self.mask).hide(others.expand_as(self.mask))

    def hide(self, hidden: Tensor) -> Batch:
        """The same with the modalities of `hidden`, bool of shape (n, modalities), taken away."""
        mask = self.mask & ~hidden
        columns = mask.unbind(dim=1)
        inputs = {
            name: values * column.unsqueeze(1)
            for (name, values), column in zip(self.inputs.items(), columns, strict=True)
        }
        return Batch(inputs, mask, self.context)


def joined(batches: Sequence[Batch]) -> Batch:
    """The rows of batches of the same lines, or of none, one batch after the other."""
    first = batches[0]
    inputs = {name: torch.cat([batch.inputs[name] for batch in batches]) for name in first.inputs}
    contexts = [batch.context for batch in batches if batch.context is not None]
    context = None
    if contexts:
        index, speaker = torch.cat([each.index for each in contexts]), torch.cat([each.speaker for each in contexts])
        context = replace(contexts[0], index=index, speaker=speaker)
    return Batch(inputs, torch.cat([batch.mask for batch in batches]), context)


class Fusion(nn.Module, ABC):
    """A classifier of utterances that answers from any modalities, down to none."""

    kind: ClassVar[str]  # a name of the registry that makes its like
    reads_context = False  # whether the lines around an utterance change its answer

    def __init__(self, dims: Mapping[str, int], classes: int) -> None:
        super().__init__()
        self.modalities = tuple(dims)
        self.classes = classes

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Logits of shape (n, classes)."""

    def loss(self, batch: Batch, targets: Tensor, objective: Objective) -> Tensor:
        """What training minimises: by default the objective's mean over the rows."""
        return objective.mean(self(batch), targets)

    @torch.no_grad()
    def modality_weights(self, batch: Batch) -> Tensor:
        """How much each modality moved each answer, shape (n, modalities), each row summing to 1 (0 with none present).

        By occlusion (Zeiler and Fergus, ECCV 2014): the total variation between the answer and the one that is given
        when the modality is hidden, as a share of the sum over modalities. Models with weights of their own give those.
        """
        rows, count = len(batch.mask), len(self.modalities)
        each = torch.eye(count, dtype=torch.bool, device=batch.mask.device)
        # All at once: with a row or a few, a call costs more than what it computes.
        whole = joined([batch, *(batch.hide(one.expand_as(batch.mask)) for one in each)])
        answers = self(whole).softmax(dim=1).reshape(1 + count, rows, -1)
        shares = ((answers[0] - answers[1:]).abs().sum(dim=2) / 2).T * batch.mask
        total = shares.sum(dim=1, keepdim=True)
        present = batch.mask.sum(dim=1, keepdim=True).clamp(min=1)
        return torch.where(total > 0, shares / total.clamp(min=1e-12), batch.mask / present)


# The norm of a modality's block of inputs, whatever its width; chosen on held-out folds, of 4, 8 and 16.
BLOCK_NORM = 8.0


def balanced(values: Tensor) -> Tensor:
    """Scale a modality's z-scores of shape (n, d) to a mean norm that does not depend on d.

    Thousands of embedding features would otherwise drown a handful of others side by side with them: both their share
    of the first layer's activations and that layer's steps grow with the width (multi-block scaling, as in multiple
    factor analysis: Escofier and Pages, 1994).
    """
    return values * (BLOCK_NORM / math.sqrt(values.shape[1]))


class WideDropout(nn.Module):
    """As torch.nn.Dropout, on thousands of inputs: a draw of 64 bits decides on four of them.

    torch draws for each by MKL's generator, which takes a fifth of a training step.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """The values, a share of them 0 and the others larger by as much, in training alone."""
        if not self.training or not self.share:
            return values
        draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device).random_(-(2**63), None)
        drawn = draws.view(torch.int16)[: values.numel()].view(values.shape)
        return values * ((drawn >= round(2**16 * self.share) - 2**15) / (1 - self.share))


def perceptron(width: int, hidden: Sequence[int], classes: int, dropout: float) -> nn.Sequential:
    """Hidden layers with ReLU and dropout, and a linear layer to the classes."""
    layers: list[nn.Module] = [WideDropout(dropout / 2)]
    for size in hidden:
        layers += [Linear(width, size), nn.ReLU(), nn.Dropout(dropout)]
        width = size
    return nn.Sequential(*layers, Linear(width, classes))
