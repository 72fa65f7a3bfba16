"""The answers of one model for the rows that only get predictions."""

from __future__ import annotations

import pandas as pd

from emofuse.core.records import KEY, PREDICT


def submission_rows(manifest: pd.DataFrame, predictions: pd.DataFrame, model: str) -> pd.DataFrame:
    """The rows to be predicted in the order of the user's tables: key, source, row, `row_id`, and the model's answer.

    Args:
        manifest: every row of the data.
        predictions: of every model, as in predictions.parquet.
        model: whose answers they are.
    """
    answers = predictions[predictions["model"] == model].drop(columns=["model", "group", "label"])
    wanted = manifest.loc[manifest["split"] == PREDICT, [*KEY, "source", "row", "row_id"]]
    return wanted.sort_values(["source", "row"]).merge(answers, on=KEY, how="left", validate="one_to_one")


def submission_names(id_column: str | None) -> dict[str, str]:
    """What the submission calls its columns of `submission_rows`: the ids as the user does, and the answer `label`."""
    return {"row_id": "input_label" if id_column == "label" else id_column or "row", "predicted": "label"}
