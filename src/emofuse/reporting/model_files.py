"""Tables and pictures of the findings: what DVC plots and MLflow keeps, a folder a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from emofuse.core.device import available_cores
from emofuse.core.files import write_json
from emofuse.core.processes import processes
from emofuse.core.tables import write_csv, write_table
from emofuse.evaluation.findings import intervals
from emofuse.evaluation.scoring import Scores
from emofuse.reporting.plots import confusion_picture, reliability_picture, subsets_picture


def write_evaluation(folder: Path, scores: Scores, findings: Mapping[str, Any]) -> None:
    """Write predictions, metrics and findings of every model.

    Args:
        folder: of the reports.
        scores: of the models.
        findings: what `findings` gave.
    """
    predictions = pa.Table.from_pandas(scores.predictions, preserve_index=False)
    write_table(folder / "predictions.parquet", predictions)
    for name, metrics in scores.metrics.items():
        write_json(folder / "metrics" / f"{name}.json", metrics)
    write_json(folder / "metrics.json", {**scores.metrics, "champion": scores.champion})
    write_csv(folder / "classes.csv", scores.classes())
    write_json(folder / "evaluation.json", findings)
    write_json(folder / "intervals.json", intervals(findings))
    write_files(folder / "evaluation", findings, scores.predictions)


def write_files(folder: Path, findings: Mapping[str, Any], predictions: pd.DataFrame) -> None:
    """Write a folder a model.

    Args:
        folder: that holds them.
        findings: what `findings` gave.
        predictions: every model's answers for every row, as in predictions.parquet.
    """
    split = findings["on"]["split"]
    drawings: list[tuple[Any, ...]] = []  # a function and its arguments each
    for name, model in findings["models"].items():
        title, own = f"{name}, {split}", folder / name
        answers = predictions[predictions["model"] == name]
        write_table(own / "predictions.parquet", pa.Table.from_pandas(answers, preserve_index=False))
        pairs = answers[(answers["split"] == split) & answers["label"].notna()]
        write_csv(own / "confusion.csv", pairs[["label", "predicted"]].rename(columns={"label": "actual"}))
        actual, predicted = pairs["label"].tolist(), pairs["predicted"].tolist()
        drawings.append((confusion_picture, own / "confusion.png", title, actual, predicted, findings["classes"]))
        bins, coverage = pd.DataFrame(model["bins"]), pd.DataFrame(model["coverage"])
        write_csv(own / "reliability.csv", bins[["confidence", "accuracy", "rows"]])
        write_csv(own / "coverage.csv", coverage)
        drawings.append((reliability_picture, own / "reliability.png", title, bins, coverage))
    for name, subsets in findings["subsets"].items():
        table = subset_table(subsets)
        write_csv(folder / name / "subsets.csv", table)
        drawings.append((subsets_picture, folder / name / "subsets.png", f"{name}, {split}", table))
    # Drawing takes as long as all else that the evaluation does, and no picture waits for another.
    with processes(available_cores()) as submit:
        for drawn in [submit(*drawing) for drawing in drawings]:
            drawn.result()


def subset_table(subsets: list[Mapping[str, Any]]) -> pd.DataFrame:
    """Subsets of modalities with their weighted F1 and its interval, a row each."""
    return pd.DataFrame(
        [
            {
                "modalities": " + ".join(each["modalities"]),
                "weighted_f1": each["value"],
                "low": each["low"],
                "high": each["high"],
            }
            for each in subsets
        ]
    ).astype({"low": float, "high": float})
