"""What a search tried and what came of it; here, so that those who only look need not load Optuna or torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Trial:
    """One setting that a search tried.

    Attributes:
        number: its number in the search.
        params: what was tried, such as `train.dropout`.
        scores: the mean held-out weighted F1 after each fold.
        pruned: whether it was given up.
    """

    number: int
    params: Mapping[str, Any]
    scores: Sequence[float]
    pruned: bool

    @property
    def score(self) -> float:
        """The mean over the folds that were trained."""
        return self.scores[-1]


@dataclass(frozen=True)
class SearchResult:
    """The trials of a search in order, and each setting's share in the spread of their scores."""

    trials: Sequence[Trial] = ()
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        """The best trial that was not given up."""
        return max((trial for trial in self.trials if not trial.pruned), key=lambda trial: trial.score, default=None)
