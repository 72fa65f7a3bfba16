"""What a model was trained on, measured so that an input unlike all of it can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emofuse.fusion.familiarity import Familiarity, Moments
from emofuse.training.dataset import TrainingSet
from emofuse.training.folds import FoldRows


@dataclass(frozen=True)
class Measurer:
    """Measures the training rows of models that share them, each modality once.

    Attributes:
        folds: of the rows.
        done: by modality, the moments and the rows' distances.
    """

    folds: Sequence[FoldRows]
    done: dict[str, tuple[Moments, NDArray[np.float64]]] = field(default_factory=dict)

    def familiarity(self, data: TrainingSet) -> Familiarity | None:
        """What tells of an input whether it is unlike the rows; None where there are too few to say."""
        batch = data.rows.batch
        for number, (modality, values) in enumerate(batch.inputs.items()):
            present = batch.mask[:, number].numpy()
            if modality not in self.done and present.sum() > 1:
                rows = values.numpy()
                distances = self._held_out(rows, present)
                if not np.isnan(distances).all():
                    self.done[modality] = Moments.fit(rows[present]), distances
        own = {modality: self.done[modality] for modality in batch.inputs if modality in self.done}
        if not own:
            return None
        return Familiarity.fit(
            {modality: moments for modality, (moments, _) in own.items()},
            {modality: distances for modality, (_, distances) in own.items()},
        )

    def _held_out(self, rows: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The distance of each row by moments of the folds that it isn't in; NaN where it is absent."""
        distances = np.full(len(rows), np.nan)
        for fit, held_out in self.folds:
            fitted, measured = fit[present[fit]], held_out[present[held_out]]
            if len(fitted) > 1 and len(measured):
                distances[measured] = Moments.fit(rows[fitted]).distance(rows[measured])
        return distances
