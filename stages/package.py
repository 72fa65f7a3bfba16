"""Stage package: the champion to models/champion/ and the BentoML store, every model to MLflow."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from typing import Any

import pandas as pd

from emofuse.core.errors import guard
from emofuse.core.params import Params, load_params
from emofuse.core.paths import MODELS_DIR, REPORTS_DIR
from emofuse.core.tables import read_json, write_json
from emofuse.datasets.data_findings import headline
from emofuse.fusion.names import ENSEMBLE, MODELS
from emofuse.inference.description import bundle_labels, bundle_version
from emofuse.service.store import store_bundle
from emofuse.tracking import Dataset, ModelRun, track

MAJORITY = "majority"
CARD = "model_card.md"


def main() -> None:
    """Copy the champion with its card, track all models, store the champion for serving."""
    params = load_params()
    metrics = read_json(REPORTS_DIR / "metrics.json")
    champion = metrics.pop("champion")
    found = read_json(REPORTS_DIR / "evaluation.json")
    classes = pd.read_csv(REPORTS_DIR / "classes.csv")
    data = read_json(REPORTS_DIR / "data.json")
    target = MODELS_DIR / "champion"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(MODELS_DIR / champion, target)
    card = REPORTS_DIR / CARD
    shutil.copy(card, target)

    runs = [model_run(name, params, scores(name, metrics[name], classes, found)) for name in (MAJORITY, *MODELS)]
    ids = track(runs, champion, Dataset(data["dataset"], headline(data)))
    labels = {
        "model": champion,
        "bundle": bundle_version(target),
        "model_card": hashlib.sha256(card.read_bytes()).hexdigest()[:16],
        **{
            f"{split}_{name}": f"{value:.4f}"
            for split, part in metrics[champion].items()
            for name, value in part.items()
        },
    }
    print(f"champion: {champion}, stored as {store_bundle(target, {**labels, 'mlflow_run': ids[champion]})}")
    # An out that no other stage makes. The champion's files are those of a trained model, so that in a fresh clone DVC
    # would find all outs of this stage in its cache, skip it, and nothing would be tracked.
    write_json(REPORTS_DIR / "champion.json", labels)


def scores(
    name: str, metrics: Mapping[str, Mapping[str, float]], classes: pd.DataFrame, found: Mapping[str, Any]
) -> dict[str, float]:
    """A model's final figures, named so that MLflow charts those of several runs side by side."""
    final = {f"{split}/{metric}": value for split, part in metrics.items() for metric, value in part.items()}
    for row in classes[classes["model"] == name].itertuples():
        final |= {f"{row.split}/{row.label}/{metric}": getattr(row, metric) for metric in ("precision", "recall", "f1")}
    for split, models in found["scores"].items():
        for metric, told in models[name].items():
            final |= {f"{split}/interval/{metric}_{end}": told[end] for end in ("low", "high") if told[end] is not None}
    split = found["on"]["split"]
    final[f"{split}/expected_calibration_error"] = found["models"][name]["expected_calibration_error"]
    for pair in found["differences"]:
        if pair["model"] == name and pair["against"] == "text":
            final |= {
                f"{split}/against_text/{part}": pair[part]
                for part in ("value", "low", "high", "wins")
                if pair[part] is not None
            }
    for subset in found["subsets"].get(name, []):
        final["subsets/" + "_".join(subset["modalities"])] = subset["value"]
    return final


def model_run(name: str, params: Params, final: dict[str, float]) -> ModelRun:
    """Collect from the reports what is tracked of a model."""
    files = [REPORTS_DIR / "report.html", *sorted((REPORTS_DIR / "evaluation" / name).iterdir())]
    if name == MAJORITY:
        return ModelRun(name, {"model": name, "seed": params.seed}, final, files=tuple(files))
    folder = REPORTS_DIR / "training" / name
    folds = pd.DataFrame(read_json(folder / "folds.json"))
    measured = ["accuracy", "weighted_f1", "macro_f1"]
    final |= {f"cv/{metric}": float(folds[metric].mean()) for metric in measured}
    steps = {f"fold/{metric}": list(enumerate(folds[metric].astype(float), start=1)) for metric in measured}
    final |= {f"cv/{metric}": value for metric, value in read_json(folder / "calibration.json").items()}
    if name == ENSEMBLE:
        final |= {f"weight/{member}": weight for member, weight in read_json(folder / "weights.json").items()}
    else:
        curve = pd.read_csv(folder / "curve.csv")
        for metric in ("train_loss", "held_out_loss", "held_out_weighted_f1"):
            steps[f"epoch/{metric}"] = list(zip(curve["epoch"].astype(int), curve[metric].astype(float), strict=True))
        files += [folder / "curve.png", folder / "history.csv"]
    bundle = MODELS_DIR / name
    return ModelRun(
        name,
        {"model": name, **params.of_results()},
        final,
        steps,
        tuple(files),
        bundle,
        bundle_version(bundle),
        bundle_labels(bundle),
    )


if __name__ == "__main__":
    with guard():
        main()
