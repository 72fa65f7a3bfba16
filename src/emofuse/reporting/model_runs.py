"""What MLflow is told of each model, collected from the reports."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from emofuse.core.files import read_json
from emofuse.core.learnt import Reached
from emofuse.core.metrics import METRICS
from emofuse.core.params import Params
from emofuse.core.paths import MODELS_DIR, REPORTS_DIR
from emofuse.datasets.data_findings import headline
from emofuse.fusion.names import MAJORITY, PRETRAINED
from emofuse.inference.description import (
    CARD,
    bundle_labels,
    bundle_learnt_from,
    bundle_version,
    copy_bundle,
    finished_models,
    write_reached,
)
from emofuse.tracking import Dataset, ModelRun


def model_runs(params: Params) -> Iterator[ModelRun]:
    """A run a model, the majority class first."""
    metrics = read_json(REPORTS_DIR / "metrics.json")
    findings = read_json(REPORTS_DIR / "evaluation.json")
    classes = pd.read_csv(REPORTS_DIR / "classes.csv")
    for name in (MAJORITY, *finished_models(MODELS_DIR)):
        yield model_run(name, params, final_figures(name, metrics[name], classes, findings))


def tracked_data() -> Dataset:
    """What the models were trained and measured on."""
    data = read_json(REPORTS_DIR / "data.json")
    return Dataset(data["dataset"], headline(data), data["apart"]["headline"])


def package_champion(name: str) -> Path:
    """Copy the champion's bundle to where it is served from, with its card and what it reaches at home.

    Returns:
        The folder.
    """
    target = MODELS_DIR / "champion"
    copy_bundle(MODELS_DIR / name, target)
    shutil.copy(REPORTS_DIR / CARD, target)
    write_reached(target, Reached(home=read_json(REPORTS_DIR / "metrics.json")[name]))
    return target


def champion_labels(folder: Path, name: str) -> dict[str, str]:
    """What the store of models for serving tells of the champion: what it is, and its scores.

    Args:
        folder: of its bundle, the model card in it.
        name: of the model.
    """
    metrics = read_json(REPORTS_DIR / "metrics.json")[name]
    return {
        "model": name,
        "bundle": bundle_version(folder),
        "model_card": hashlib.sha256((folder / CARD).read_bytes()).hexdigest()[:16],
        **{f"{split}_{score}": f"{value:.4f}" for split, part in metrics.items() for score, value in part.items()},
    }


def final_figures(
    name: str, metrics: Mapping[str, Mapping[str, float]], classes: pd.DataFrame, findings: Mapping[str, Any]
) -> dict[str, float]:
    """A model's final figures, named so that MLflow charts those of several runs side by side."""
    final = {f"{split}/{metric}": value for split, part in metrics.items() for metric, value in part.items()}
    for row in classes[classes["model"] == name].itertuples():
        final |= {f"{row.split}/{row.label}/{metric}": getattr(row, metric) for metric in ("precision", "recall", "f1")}
    for split, models in findings["scores"].items():
        for metric, estimate in models[name].items():
            final |= {
                f"{split}/interval/{metric}_{end}": estimate[end]
                for end in ("low", "high")
                if estimate[end] is not None
            }
    split = findings["on"]["split"]
    final[f"{split}/expected_calibration_error"] = findings["models"][name]["expected_calibration_error"]
    final |= {f"{part}/unfamiliar": share for part, share in findings["unfamiliar"].get(name, {}).items()}
    for pair in findings["differences"]:
        if pair["model"] == name and pair["against"] == "text":
            final |= {
                f"{split}/against_text/{part}": pair[part]
                for part in ("value", "low", "high", "wins")
                if pair[part] is not None
            }
    for subset in findings["subsets"].get(name, []):
        final["subsets/" + "_".join(subset["modalities"])] = subset["value"]
    return final


def model_run(name: str, params: Params, final: dict[str, float]) -> ModelRun:
    """Collect from the reports what is tracked of a model."""
    files = [REPORTS_DIR / "report.html", *sorted((REPORTS_DIR / "evaluation" / name).iterdir())]
    if name == MAJORITY:
        return ModelRun(name, {"model": name, "seed": params.seed}, final, files=tuple(files))
    folder = REPORTS_DIR / "training" / name
    steps = {}
    if name != PRETRAINED:  # which has no folds: it is fitted on dev
        folds = pd.DataFrame(read_json(folder / "folds.json"))
        final |= {f"cv/{metric}": float(folds[metric].mean()) for metric in METRICS}
        steps = {f"fold/{metric}": list(enumerate(folds[metric].astype(float), start=1)) for metric in METRICS}
    fitted_on = "dev" if name == PRETRAINED else "cv"
    final |= {f"{fitted_on}/{metric}": value for metric, value in read_json(folder / "calibration.json").items()}
    if (folder / "weights.json").is_file():
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
        bundle_learnt_from(bundle),
    )
