"""Stage evaluate: every model on dev and test, beside the majority class; the best on dev is named champion."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from emofuse.errors import guard
from emofuse.evaluation.metrics import majority_probabilities, per_class, summary
from emofuse.evaluation.plots import confusion_picture
from emofuse.fusion.registry import MODELS
from emofuse.params import load_params
from emofuse.predictor import Predictor
from emofuse.schema import (
    KEY,
    MODELS_DIR,
    REPORTS_DIR,
    SPLITS,
    label_order,
    read_all_features,
    read_manifest,
    write_json,
    write_table,
)

MAJORITY = "majority"


def main() -> None:
    """Write metrics, predictions, per-class scores and confusions of every model."""
    load_params()  # a mistake in params.yaml stops every stage alike
    manifest = read_manifest()
    labels = label_order(manifest)
    chosen = (manifest["split"] != "train").to_numpy()
    rows = manifest[chosen].reset_index(drop=True)
    tables = {modality: table.select(chosen) for modality, table in read_all_features(manifest).items()}
    train_labels = manifest.loc[manifest["split"] == "train", "label"].dropna().tolist()

    answers = {MAJORITY: majority_probabilities(train_labels, labels, len(rows))}
    for name in MODELS:
        predictor = Predictor.load(MODELS_DIR / name)
        read = {modality: tables[modality] for modality in predictor.bundle.features}
        answers[name] = predictor.probabilities(read, rows)[0]
    predictions = pd.concat([_predictions(name, rows, p, labels) for name, p in answers.items()], ignore_index=True)

    write_table(REPORTS_DIR / "predictions.parquet", pa.Table.from_pandas(predictions, preserve_index=False))
    labelled = predictions[predictions["label"].notna() & predictions["split"].isin(SPLITS)]
    metrics = {
        name: {split: summary(part["label"], part["predicted"]) for split, part in model.groupby("split")}
        for name, model in labelled.groupby("model")
    }
    for name, scores in metrics.items():
        write_json(REPORTS_DIR / "metrics" / f"{name}.json", scores)
    champion = max(MODELS, key=lambda name: metrics[name]["dev"]["weighted_f1"])
    write_json(REPORTS_DIR / "metrics.json", {**metrics, "champion": champion})
    # A class that stands in no training row is never answered, and its rows count as mistakes.
    _write_tables(labelled, sorted({*labels, *labelled["label"]}))
    print(_table(metrics, champion))


def _predictions(name: str, rows: pd.DataFrame, p: NDArray[np.float64], labels: list[str]) -> pd.DataFrame:
    frame = rows[[*KEY, "label"]].copy()
    frame.insert(0, "model", name)
    frame["predicted"] = [labels[index] for index in p.argmax(axis=1)]
    return pd.concat([frame, pd.DataFrame(p, columns=[f"p_{label}" for label in labels])], axis=1)


def _write_tables(predictions: pd.DataFrame, labels: list[str]) -> None:
    scores = [
        per_class(part["label"], part["predicted"], labels).assign(model=model, split=split)
        for (model, split), part in predictions.groupby(["model", "split"], sort=False)
    ]
    columns = ["model", "split", "label", "precision", "recall", "f1", "support"]
    pd.concat(scores)[columns].to_csv(REPORTS_DIR / "classes.csv", index=False, lineterminator="\n")
    for model, part in predictions[predictions["split"] == "test"].groupby("model"):
        folder = REPORTS_DIR / "evaluation" / str(model)
        folder.mkdir(parents=True, exist_ok=True)
        pairs = part[["label", "predicted"]].rename(columns={"label": "actual"})
        pairs.to_csv(folder / "confusion.csv", index=False, lineterminator="\n")
        confusion_picture(folder / "confusion.png", f"{model}, test", part["label"], part["predicted"], labels)


def _table(metrics: dict[str, dict[str, dict[str, float]]], champion: str) -> str:
    ranked = sorted(metrics, key=lambda name: -metrics[name]["dev"]["weighted_f1"])
    lines = [f"{'model':<12}{'dev weighted F1':>16}{'test weighted F1':>18}{'test accuracy':>15}"]
    for name in ranked:
        dev, test = metrics[name]["dev"], metrics[name]["test"]
        mark = "  champion" if name == champion else ""
        lines.append(
            f"{name:<12}{dev['weighted_f1']:>16.3f}{test['weighted_f1']:>18.3f}{test['accuracy']:>15.3f}{mark}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    with guard():
        main()
