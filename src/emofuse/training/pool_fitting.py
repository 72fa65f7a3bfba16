"""Classifiers that were trained elsewhere, made to one model of this data: labels mapped, weights fitted on dev.

Training rows have no part in it. Weights and temperature are fitted on dev, which also chooses the champion: its dev
score is a little too good beside those of models that dev never touched; test tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from emofuse.core.device import pick_device
from emofuse.core.files import write_json
from emofuse.core.params import Params, TextParams
from emofuse.core.records import FeatureTable
from emofuse.core.tables import label_order, read_features, utterances
from emofuse.extraction.content import clip_content, text_content
from emofuse.extraction.run import Task, extract
from emofuse.features.registry import class_labels, make_extractor
from emofuse.fusion.classifiers import classifier_sections, label_maps, pool_bundle
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.members import member_answer
from emofuse.fusion.opinion_pool import PretrainedPool
from emofuse.fusion.trained_model import Bundle
from emofuse.training.calibration import apply_temperature, calibration_error, fit_shares, fit_temperature, log_loss

FITTED = (
    "Nothing was trained. Weights and temperature were fitted on the dev split of the data that it is measured on, "
    "which chooses the champion too; test is clean."
)


@dataclass(frozen=True)
class FittedPool:
    """A bundle of classifiers, and how it came about.

    Attributes:
        bundle: the model, calibrated.
        weights: of each modality; they sum to 1.
        calibration: of the dev rows, before and after the temperature.
    """

    bundle: Bundle
    weights: Mapping[str, float]
    calibration: Mapping[str, float]


def fit_pretrained(manifest: pd.DataFrame, params: Params, folder: Path) -> FittedPool:
    """Ask the classifiers that `pretrained` names about every row, and pool them.

    Args:
        manifest: every row of the data, with the words that were heard.
        params: all of params.yaml.
        folder: where a table a modality is written, of what its classifier says.

    Raises:
        EncoderError: a classifier can't be loaded, or is none.
        ParamsError: labels can't be mapped; all that is wrong with them is told.
    """
    sections, classes = classifier_sections(params), label_order(manifest)
    maps = label_maps(params, {m: class_labels(section) for m, section in sections.items()}, classes)
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    tables = {}
    for modality, section in sections.items():
        content = partial(text_content, section) if isinstance(section, TextParams) else clip_content
        task = Task(modality, section, partial(make_extractor, section, pick_device()), content)
        extract(task, rows, manifest, folder / f"{modality}.parquet", params.extract)
        tables[modality] = read_features(modality, manifest, folder)
    bundle = pool_bundle(params, classes, maps, {m: table.names for m, table in tables.items()})
    fitted = _fitted(bundle, manifest, tables, weigh=params.pretrained.weights is None)
    write_json(folder / "weights.json", fitted.weights)
    write_json(folder / "calibration.json", fitted.calibration)
    return fitted


def _fitted(bundle: Bundle, manifest: pd.DataFrame, tables: Mapping[str, FeatureTable], weigh: bool) -> FittedPool:
    chosen = ((manifest["split"] == "dev") & manifest["label"].isin(bundle.labels)).to_numpy()
    targets: NDArray[np.int64] = pd.Index(bundle.labels).get_indexer(manifest["label"][chosen]).astype(np.int64)
    dev = {modality: table.select(chosen) for modality, table in tables.items()}
    batch = make_batch(dev, bundle.scalers, tuple(bundle.features))
    [pool] = bundle.members
    assert isinstance(pool, PretrainedPool)
    if weigh:
        with torch.inference_mode():
            opinions = pool.opinions(batch).double().transpose(0, 1).numpy()
        pool.set_weights(fit_shares(opinions, targets))
    before: NDArray[np.float64] = member_answer(pool, batch).numpy()
    temperature = fit_temperature(before, targets)
    after = apply_temperature(before, temperature)
    calibration = {
        "temperature": temperature,
        "ece_before": calibration_error(before, targets),
        "ece": calibration_error(after, targets),
        "log_loss_before": log_loss(before, targets),
        "log_loss": log_loss(after, targets),
    }
    weights = {m: round(float(w), 6) for m, w in zip(bundle.features, pool.weights, strict=True)}
    learnt_from = bundle.learnt_from.model_copy(update={"protocol": FITTED})
    return FittedPool(replace(bundle, temperature=temperature, learnt_from=learnt_from), weights, calibration)
