"""Training rows drawn and changed anew each time they are shown."""

from __future__ import annotations

import torch
from torch import Tensor

from emofuse.core.params import TrainParams
from emofuse.fusion.base import Batch


def draw(targets: Tensor, groups: Tensor | None, power: float, generator: torch.Generator) -> Tensor:
    """The rows of an epoch in random order.

    Args:
        targets: the class of each of n rows.
        groups: the dialogue of each row, to keep its rows side by side where they share lines to encode.
        power: 0 shows each row once; above, rows are drawn with replacement, with chances that rise with the rarity of
            their class, up to an equal share of each class at 1.
        generator: decides.

    Returns:
        n row numbers.
    """
    if power:
        chances = torch.bincount(targets).clamp(min=1).double().pow(-power)[targets]
        index = torch.multinomial(chances, len(targets), replacement=True, generator=generator)
    else:
        index = torch.randperm(len(targets), generator=generator)
    if groups is None:
        return index
    turns = torch.randperm(int(groups.max()) + 1, generator=generator)
    return index[turns[groups[index]].argsort(stable=True)]


def augment(batch: Batch, targets: Tensor, params: TrainParams, generator: torch.Generator) -> Batch:
    """Mix each row with another of its class, add noise, and hide some modalities and lines, as far as params say.

    Mixing within a class keeps the label certain (compare mixup: Zhang et al., ICLR 2018); modalities that are not
    present in both are left as they are.
    """
    n, device = len(targets), targets.device
    inputs = dict(batch.inputs)
    if params.mixup:
        partner = _of_the_same_class(targets.cpu(), generator).to(device)
        share = (params.mixup * torch.rand(n, 1, generator=generator)).to(device)
        both = (batch.mask & batch.mask[partner]).unbind(dim=1)
        for (name, values), there in zip(batch.inputs.items(), both, strict=True):
            inputs[name] = values.lerp(values[partner], share * there.unsqueeze(1))
    if params.noise:
        for (name, values), there in zip(inputs.items(), batch.mask.unbind(dim=1), strict=True):
            noise = params.noise * torch.randn(values.shape, generator=generator)
            inputs[name] = values + noise.to(device) * there.unsqueeze(1)
    changed = Batch(inputs, batch.mask, batch.context)
    hidden = torch.rand(batch.mask.shape, generator=generator) < params.modality_dropout
    changed = changed.hide(hidden.to(device))
    if batch.context is None:
        return changed
    return changed.without_context((torch.rand(n, generator=generator) < params.attention.context_dropout).to(device))


def _of_the_same_class(targets: Tensor, generator: torch.Generator) -> Tensor:
    """For each of n rows another of its class; itself, where there is none."""
    shuffled = torch.randperm(len(targets), generator=generator)
    order = shuffled[targets[shuffled].argsort(stable=True)]
    sizes = torch.bincount(targets)
    starts = sizes.cumsum(dim=0) - sizes
    place = torch.arange(len(targets)) - starts[targets[order]]
    following = starts[targets[order]] + (place + 1) % sizes[targets[order]]
    partner = torch.empty_like(order)
    partner[order] = order[following]
    return partner
