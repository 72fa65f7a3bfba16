"""How MLflow opens a logged bundle: `mlflow.pyfunc.load_model` calls `_load_pyfunc`. Needs no MLflow itself."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emofuse.core.rows import MODEL_COLUMNS
from emofuse.core.tables import utterances
from emofuse.inference.predictor import Predictor


class BundleModel:
    """A predictor behind MLflow's data frame interface."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Answer each row.

        Args:
            frame: any of the columns of `MODEL_COLUMNS`; `video` is a path.

        Returns:
            `label`, and `p_<class>` a class.
        """
        answers = self._predictor.predict(utterances(frame.rename(columns=MODEL_COLUMNS), Path()))
        return pd.DataFrame([answer.to_row() for answer in answers])


def _load_pyfunc(path: str) -> BundleModel:
    return BundleModel(Predictor.load(Path(path)))
