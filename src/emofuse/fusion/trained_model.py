"""A trained model with all that a prediction needs; `inference.bundle` stores and loads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from emofuse.core.learnt import LearntFrom
from emofuse.core.numerics import Mode, current
from emofuse.core.params import ExtractorParams, TrainParams
from emofuse.fusion.base import Fusion
from emofuse.fusion.familiarity import Familiarity
from emofuse.fusion.scaling import Scaler


@dataclass(frozen=True)
class Bundle:
    """A trained model.

    Attributes:
        name: the model's name, such as `early`.
        labels: the classes, in the order of every probability vector.
        features: the feature names of each modality that it reads.
        extractors: how each modality's features are extracted.
        scalers: z-scores a modality.
        train: the params that it was trained with.
        seed: the seed that it was trained with.
        members: models whose answers are pooled; those of an ensemble are of several kinds.
        weights: of each member in the pool; empty where all weigh the same.
        temperature: what the pool is divided by, as logits, so that its confidence is what it is right.
        finetuned: folder of the finetuned text encoders; None where there are none.
        assets: folder of the weights that its extractors need, each under its hash; None where packages hold them.
        numerics: what decided the rounding of its features and weights.
        learnt_from: the data that it was made from.
        familiarity: what tells that an input is unlike all of it; None where that can't be told.
        version: sha256 of the description; empty until saved.
    """

    name: str
    labels: tuple[str, ...]
    features: Mapping[str, tuple[str, ...]]
    extractors: Mapping[str, ExtractorParams]
    scalers: Mapping[str, Scaler]
    train: TrainParams
    seed: int
    members: list[Fusion]
    weights: tuple[float, ...] = ()
    temperature: float = 1.0
    finetuned: Path | None = None
    assets: Path | None = None
    numerics: Mode = field(default_factory=current)
    learnt_from: LearntFrom = field(default_factory=LearntFrom)
    familiarity: Familiarity | None = None
    version: str = ""

    @property
    def shares(self) -> tuple[float, ...]:
        """What each member weighs in the pool; they sum to 1."""
        return self.weights or (1 / len(self.members),) * len(self.members)

    @property
    def reads_context(self) -> bool:
        """Whether the lines around an utterance change the answer."""
        return any(member.reads_context for member in self.members)
