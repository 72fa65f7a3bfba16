"""How MLflow opens a logged bundle: `mlflow.pyfunc.load_model` calls `_load_pyfunc`. Needs no MLflow itself."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emofuse.core.records import Utterance
from emofuse.inference.predictor import Predictor


class BundleModel:
    """A predictor behind MLflow's data frame interface."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Answer each row.

        Args:
            frame: any of the columns `video` (path), `utterance`, `position`, `dialogue_length`.

        Returns:
            `label`, and `p_<class>` a class.
        """
        answers = self._predictor.predict([_utterance(row) for row in frame.to_dict("records")])
        return pd.DataFrame([answer.to_row() for answer in answers])


def _utterance(row: dict[str, object]) -> Utterance:
    given = {key: value for key, value in row.items() if not pd.isna(value)}
    position, length = given.get("position"), given.get("dialogue_length")
    return Utterance(
        clip=Path(str(given["video"])) if "video" in given else None,
        text=str(given.get("utterance", "")),
        position=None if position is None else int(str(position)),
        dialogue_length=None if length is None else int(str(length)),
    )


def _load_pyfunc(path: str) -> BundleModel:
    return BundleModel(Predictor.load(Path(path)))
