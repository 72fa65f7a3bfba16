"""Stage evaluate: every model on dev and test, beside the majority class; the best on dev is named champion."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from emofuse.core.errors import guard
from emofuse.core.metrics import majority_probabilities, per_class, summary
from emofuse.core.params import Params, load_params
from emofuse.core.paths import MODELS_DIR, REPORTS_DIR
from emofuse.core.records import KEY, SPLITS
from emofuse.core.tables import label_order, read_all_features, read_manifest, write_csv, write_json, write_table
from emofuse.evaluation.findings import findings, intervals
from emofuse.evaluation.measured import Measured
from emofuse.evaluation.subject import together
from emofuse.fusion.names import MODELS
from emofuse.inference.predictor import Predictor
from emofuse.reporting.model_files import write_files

MAJORITY = "majority"


def main() -> None:
    """Write predictions and metrics of every model, and all that the report says of them."""
    params = load_params()
    manifest = read_manifest()
    labels = label_order(manifest)
    chosen = (manifest["split"] != "train").to_numpy()
    rows = manifest[chosen].reset_index(drop=True)
    tables = {modality: table.select(chosen) for modality, table in read_all_features(manifest).items()}
    train_labels = manifest.loc[manifest["split"] == "train", "label"].dropna().tolist()

    models = {name: Predictor.load(MODELS_DIR / name) for name in MODELS}
    subjects = together(models, rows, tables)
    answers = {MAJORITY: majority_probabilities(train_labels, labels, len(rows))}
    answers |= {name: subject.answer_all() for name, subject in subjects.items()}
    predictions = pd.concat([_predictions(name, rows, p, labels) for name, p in answers.items()], ignore_index=True)
    write_table(REPORTS_DIR / "predictions.parquet", pa.Table.from_pandas(predictions, preserve_index=False))

    champion = _write_metrics(predictions, labels)
    splits = _measured(rows, answers, labels, params)
    last = (rows["split"] == list(splits)[-1]).to_numpy()
    of_last = {modality: table.select(last) for modality, table in tables.items()}
    asked = together(models, rows[last].reset_index(drop=True), of_last)
    found = findings(splits, asked, champion, params.evaluate.slice_rows)
    write_json(REPORTS_DIR / "evaluation.json", found)
    write_json(REPORTS_DIR / "intervals.json", intervals(found))
    write_files(REPORTS_DIR / "evaluation", found, predictions)


def _predictions(name: str, rows: pd.DataFrame, p: NDArray[np.float64], labels: list[str]) -> pd.DataFrame:
    frame = rows[[*KEY, "label"]].copy()
    frame.insert(0, "model", name)
    frame["predicted"] = [labels[index] for index in p.argmax(axis=1)]
    return pd.concat([frame, pd.DataFrame(p, columns=[f"p_{label}" for label in labels])], axis=1)


def _write_metrics(predictions: pd.DataFrame, labels: list[str]) -> str:
    """Write the scores by model and by class; gives the champion."""
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
    classes = sorted({*labels, *labelled["label"]})
    by_class = [
        per_class(part["label"], part["predicted"], classes).assign(model=model, split=split)
        for (model, split), part in labelled.groupby(["model", "split"], sort=False)
    ]
    columns = ["model", "split", "label", "precision", "recall", "f1", "support"]
    write_csv(REPORTS_DIR / "classes.csv", pd.concat(by_class)[columns])
    print(_table(metrics, champion))
    return champion


def _measured(
    rows: pd.DataFrame, answers: dict[str, NDArray[np.float64]], labels: list[str], params: Params
) -> dict[str, Measured]:
    """The labelled rows of dev, and of test where it has labels."""
    classes = sorted({*labels, *rows.loc[rows["split"].isin(SPLITS), "label"].dropna()})
    places = [classes.index(label) for label in labels]
    splits = {}
    for split in SPLITS[1:]:
        chosen = ((rows["split"] == split) & rows["label"].notna()).to_numpy()
        if chosen.any():
            wide = {name: np.zeros((chosen.sum(), len(classes))) for name in answers}
            for name, probabilities in answers.items():
                wide[name][:, places] = probabilities[chosen]
            part = rows[chosen].reset_index(drop=True)
            splits[split] = Measured(part, tuple(classes), wide, params.evaluate.resamples, params.seed)
    return splits


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
