"""Models with fresh weights, by name."""

from __future__ import annotations

from collections.abc import Mapping

from emofuse.core.params import TrainParams
from emofuse.fusion.attention import AttentionFusion
from emofuse.fusion.base import Fusion
from emofuse.fusion.early import EarlyFusion
from emofuse.fusion.finetuned import FinetunedScores
from emofuse.fusion.late import LateFusion
from emofuse.fusion.opinion_pool import PretrainedPool


def make_model(name: str, dims: Mapping[str, int], classes: int, params: TrainParams) -> Fusion:
    """A model with fresh weights.

    Args:
        name: one of `TRAINED`, `PRETRAINED`, or the kind of an ensemble's member.
        dims: features of each modality that it reads.
        classes: number of classes.
        params: hidden layers and dropout.
    """
    if name == "attention":
        return AttentionFusion(dims, classes, params.attention, params.dropout)
    if name == FinetunedScores.kind:
        return FinetunedScores(dims, classes)
    if name == PretrainedPool.kind:
        return PretrainedPool(dims, classes)
    if name == "late":
        return LateFusion(dims, classes, params.late.hidden, params.dropout)
    return EarlyFusion(dims, classes, params.early.hidden, params.dropout)
