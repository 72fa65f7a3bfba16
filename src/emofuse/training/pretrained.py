"""Classifiers that were trained elsewhere, made to one model of this data: labels mapped, weights fitted on dev.

Training rows have no part in it. Weights and temperature are fitted on dev, which also chooses the champion: its dev
score is a little too good beside those of models that dev never touched; test tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from emofuse.core.device import pick_device
from emofuse.core.emotion_words import class_of, is_emotion_word
from emofuse.core.errors import ParamsError, listed
from emofuse.core.files import write_json
from emofuse.core.params import Params, TextParams, as_extracted
from emofuse.core.records import FeatureTable
from emofuse.core.tables import label_order, read_features, utterances
from emofuse.core.text import normal_label
from emofuse.extraction.content import clip_content, text_content
from emofuse.extraction.run import Task, extract
from emofuse.features.pretrained import UNNAMED
from emofuse.features.registry import class_labels, make_extractor
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.members import member_answer
from emofuse.fusion.names import PRETRAINED
from emofuse.fusion.pretrained import PretrainedPool
from emofuse.fusion.scaling import Scaler
from emofuse.fusion.trained_model import Bundle
from emofuse.training.calibration import apply_temperature, calibration_error, fit_shares, fit_temperature, log_loss

Labels = Mapping[str, Sequence[str]]  # of each modality's classifier, in the order of its columns


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
    sections, classes = params.classifiers(), label_order(manifest)
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


def pool_bundle(
    params: Params,
    classes: Sequence[str],
    maps: Mapping[str, NDArray[np.float32]],
    features: Mapping[str, tuple[str, ...]],
) -> Bundle:
    """The classifiers as a bundle that is fitted to nothing: weights as given or all alike, temperature 1.

    Args:
        params: all of params.yaml.
        classes: of its answers.
        maps: from `label_maps`.
        features: the columns that each modality's extractor gives, those of the classifier's labels first.
    """
    widths = {modality: len(names) for modality, names in features.items()}
    pool = PretrainedPool(widths, len(classes))
    pool.set_maps(
        {m: torch.from_numpy(np.pad(own, ((0, 0), (0, widths[m] - own.shape[1])))) for m, own in maps.items()}
    )
    given = params.pretrained.weights
    pool.set_weights([1.0] * len(features) if given is None else [given[modality] for modality in features])
    pool.eval()
    return Bundle(
        name=PRETRAINED,
        labels=tuple(classes),
        features=features,
        extractors={m: as_extracted(section, features[m]) for m, section in params.classifiers().items()},
        scalers={
            m: Scaler(np.zeros(width, np.float32), np.ones(width, np.float32), 1.0) for m, width in widths.items()
        },
        train=params.train,
        seed=params.seed,
        members=[pool],
    )


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
    return FittedPool(replace(bundle, temperature=temperature), weights, calibration)


def label_maps(params: Params, labels: Labels, classes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Which label of each classifier is which class, 0 or 1, of shape (classes, labels).

    `pretrained.labels` says so, else the words do (`core.emotion_words`). A word for an emotion that the data doesn't
    have is no class of it.

    Raises:
        ParamsError: labels are not named or not known, names stand for nothing, or a classifier says nothing of any
            class; all of it is told at once.
    """
    given = params.pretrained.labels
    problems = [*_wrong_names(given, labels, classes)]
    maps = {}
    for modality, own in labels.items():
        wanted = [_class(label, given, classes) for label in own]
        maps[modality] = np.array([[name == label for label in wanted] for name in classes], np.float32)
        unmapped = [label for label in own if normal_label(label) not in given and not _is_clear(label, classes)]
        name = f"pretrained.{modality} {params.pretrained.named[modality]!r}"
        if unmapped and all(map(UNNAMED.fullmatch, unmapped)):
            problems.append(f"{name} doesn't name its classes; {_ask(unmapped, classes)}")
        elif unmapped:
            problems.append(
                f"{name} has the labels {', '.join(unmapped)}, which nobody mapped; {_ask(unmapped, classes)}"
            )
        elif not maps[modality].any():
            problems.append(
                f"{name} has the labels {', '.join(own)}, none of which is a class of the data "
                f"({', '.join(classes)}); map them in pretrained.labels"
            )
    if problems:
        raise ParamsError(f"the labels of the classifiers can't be mapped\n{listed(problems)}")
    return maps


def _wrong_names(given: Mapping[str, str | None], labels: Labels, classes: Sequence[str]) -> Iterator[str]:
    everyone = sorted({label for own in labels.values() for label in own})
    strange = [name for name in given if name not in {normal_label(label) for label in everyone}]
    if strange:
        yield f"pretrained.labels names {', '.join(strange)}, but the classifiers' labels are {', '.join(everyone)}"
    for label, name in given.items():
        if name is not None and name not in {normal_label(each) for each in classes}:
            yield f"pretrained.labels says that {label} is {name}, but the data's classes are {', '.join(classes)}"


def _class(label: str, given: Mapping[str, str | None], classes: Sequence[str]) -> str | None:
    word = normal_label(label)
    if word not in given:
        return class_of(label, classes)
    return next((name for name in classes if normal_label(name) == given[word]), None)


def _is_clear(label: str, classes: Sequence[str]) -> bool:
    return class_of(label, classes) is not None or is_emotion_word(label)


def _ask(labels: Sequence[str], classes: Sequence[str]) -> str:
    example = ", ".join(f"{label}: {name}" for label, name in zip(labels[:2], (classes[0], "null"), strict=False))
    names = ", ".join(classes)
    return f"say in pretrained.labels which class of the data ({names}) each is, or null, such as {{{example}}}"
