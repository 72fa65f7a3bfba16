"""All that the evaluation report says, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emofuse.core.apart import dialogue_keys
from emofuse.core.metrics import METRICS, per_class
from emofuse.core.params import EvaluateParams, Metric
from emofuse.core.records import MODALITIES
from emofuse.evaluation.ablations import feature_importance, modality_importance, subset_scores
from emofuse.evaluation.calibration import calibration, coverage
from emofuse.evaluation.measured import Measured, differences, standings
from emofuse.evaluation.mistakes import confusion_counts, mistakes
from emofuse.evaluation.slices import find_slices, slice_scores
from emofuse.evaluation.subject import Subject
from emofuse.evaluation.uncertainty import FEW, LEVEL


def findings(
    splits: Mapping[str, Measured],
    subjects: Mapping[str, Subject],
    champion: str,
    params: EvaluateParams,
    unfamiliar: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """Look at every model from every side.

    Args:
        splits: the measured splits; the last is the one that is reported on.
        subjects: the models that can be asked again, with the rows of that split.
        champion: the best on dev.
        params: by what dev chooses, and how small a slice is shown.
        unfamiliar: of each model that can tell, the share of each split that it marks as unlike what it learnt from.
    """
    measured = list(splits.values())[-1]
    # By name: where the data has one modality alone, a fusion reads no more than that.
    fusions = [model for model in subjects if model not in MODALITIES]
    best = best_single(splits, [model for model in subjects if model in MODALITIES], params.champion_metric)
    models = list(measured.probabilities)
    return {
        "on": {"split": list(splits)[-1], **_extent(measured), "least_rows": params.slice_rows},
        "classes": list(measured.classes),
        "champion": champion,
        "champion_metric": params.champion_metric,
        "best_single": best,
        "fusions": fusions,
        "versions": {model: subject.predictor.bundle.version for model, subject in subjects.items()},
        "scores": {split: standings(part) for split, part in splits.items()},
        "differences": differences(measured, models, models),
        "subsets": {m: subset_scores(subjects[m], measured) for m in fusions},
        "modality_importance": {m: modality_importance(subjects[m], measured, measured.seed) for m in fusions},
        "feature_importance": feature_importance(subjects[champion], measured, measured.seed),
        "unfamiliar": {m: dict(shares) for m, shares in unfamiliar.items()},
        "weights": {m: _weights(subjects[m]) for m in fusions},
        "models": _each_model(measured, next(iter(subjects.values())), params.slice_rows),
    }


def _extent(measured: Measured) -> dict[str, Any]:
    """How much was measured on, and how sure that makes."""
    return {
        "rows": len(measured.rows),
        "dialogues": len(set(dialogue_keys(measured.rows))),
        "groups": measured.bootstrap.groups,
        "drawn": measured.drawn,
        "few_groups": measured.bootstrap.groups < FEW,
        "resamples": measured.resamples,
        "level": LEVEL,
    }


def _each_model(measured: Measured, fusion: Subject, least: int) -> dict[str, dict[str, Any]]:
    """What is said of each model alone.

    Args:
        measured: the split.
        fusion: one, which reads every modality.
        least: rows that a slice must have.
    """
    tables = {modality: table.select(fusion.labelled) for modality, table in fusion.tables.items()}
    slices = slice_scores(measured, find_slices(measured.rows, tables, least))
    return {
        model: {
            "classes": _classes(measured, model),
            "confusion": confusion_counts(measured, model),
            **calibration(probabilities, measured.actual),
            "coverage": coverage(probabilities, measured.actual),
            "slices": slices[model],
            "mistakes": mistakes(measured, model),
        }
        for model, probabilities in measured.probabilities.items()
    }


def best_single(splits: Mapping[str, Measured], singles: list[str], metric: Metric) -> str:
    """The modality that is best alone, chosen on dev."""
    dev = next(iter(splits.values()))
    return max(singles, key=lambda model: float(dev.models[model].value[METRICS.index(metric)]))


def _classes(measured: Measured, model: str) -> list[dict[str, Any]]:
    names = np.array(measured.classes)
    actual, predicted = (names[codes].tolist() for codes in (measured.actual, measured.predicted(model)))
    scores = per_class(actual, predicted, measured.classes)
    records: list[dict[str, Any]] = scores.to_dict("records")
    return records


def _weights(subject: Subject) -> dict[str, dict[str, float]]:
    """Mean and standard deviation, over the rows that have it, of each modality's weight."""
    weights = subject.weights()
    described = {}
    for index, modality in enumerate(subject.modalities):
        shares = weights[subject.tables[modality].present, index]
        described[modality] = {
            "mean": float(shares.mean()) if len(shares) else 0.0,
            "deviation": float(shares.std()) if len(shares) else 0.0,
            "rows": len(shares),
        }
    return described


def intervals(findings: Mapping[str, Any]) -> dict[str, Any]:
    """The part that is kept in git and shown in the documentation: scores and differences with their intervals.

    Of the differences those from text and from the best single modality, and those of single modalities.
    """
    references = ("text", findings["best_single"])
    return {
        **{key: findings[key] for key in ("on", "champion", "champion_metric", "best_single", "scores", "subsets")},
        "differences": [
            pair
            for pair in findings["differences"]
            if pair["against"] in references or {pair["model"], pair["against"]} <= set(MODALITIES)
        ],
    }
