"""The bootstrap and the whole stage `evaluate` on made-up tables of MELD's size."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.timing import Figure, seconds
from emofuse.core.apart import dialogue_keys
from emofuse.core.errors import DataError
from emofuse.core.params import PARAMS_FILE, Params
from emofuse.core.paths import FEATURES_DIR, MANIFEST_FILE, MODELS_DIR
from emofuse.core.records import MODALITIES, Extracted, FeatureTable
from emofuse.core.tables import MANIFEST, write_features, write_manifest
from emofuse.evaluation.subject import together
from emofuse.evaluation.uncertainty import Bootstrap
from emofuse.features.registry import make_extractor
from emofuse.fusion.names import ENSEMBLE, FUSIONS, MODELS, TRAINED
from emofuse.fusion.scaling import fit_scalers
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.bundle import save_bundle
from emofuse.inference.predictor import Predictor
from emofuse.training.dataset import training_set

ROWS = {"train": (9989, 1038), "dev": (1109, 114), "test": (2610, 280)}  # MELD's utterances and dialogues
LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
SHARES = (0.12, 0.02, 0.03, 0.17, 0.48, 0.07, 0.11)
SPEAKERS = 40
MEMBERS = 5  # of a model
FITTED = 1000  # rows that scalers are fitted on here: their cost belongs to another stage


def measure(params: Params, folder: Path) -> list[Figure]:
    """The figures; `folder` takes the tables."""
    manifest = _manifest()
    test = manifest[manifest["split"] == "test"]
    actual = pd.Index(LABELS).get_indexer(test["label"])
    guess = np.random.default_rng(1).permutation(actual)
    keys = dialogue_keys(test)

    def draw() -> None:
        bootstrap = Bootstrap(keys, params.evaluate.resamples, params.seed)
        ours, theirs = (bootstrap.scores(actual, answers, len(LABELS)) for answers in (guess, actual))
        (ours - theirs).interval()

    draw()
    widths = _project(params, manifest, folder)
    spent = seconds(lambda: _evaluate(folder))
    sizes = f"{len(test)} test and {ROWS['dev'][0]} dev rows, {len(MODELS)} models, {sum(widths.values())} columns"
    return [
        Figure(
            f"bootstrap, {params.evaluate.resamples} resamples of two models and their difference, s",
            seconds(draw),
            "at most 2",
            f"{len(test)} rows in {test['dialogue'].nunique()} dialogues",
        ),
        Figure("the whole stage evaluate, s", spent, "at most 60", sizes),
    ]


def _manifest() -> pd.DataFrame:
    chance = np.random.default_rng(1)
    parts = []
    for split, (rows, dialogues) in ROWS.items():
        cuts = np.sort(chance.choice(np.arange(1, rows), dialogues - 1, replace=False))
        dialogue = np.searchsorted(cuts, np.arange(rows), side="right")
        part = pd.DataFrame({"split": split, "dialogue": dialogue.astype(str)})
        part["position"] = part.groupby("dialogue").cumcount()
        part["dialogue_length"] = part.groupby("dialogue")["position"].transform("size")
        parts.append(part.assign(utterance=part["position"], row=np.arange(1, rows + 1)))
    frame = pd.concat(parts, ignore_index=True)
    frame["label"] = chance.choice(LABELS, p=SHARES, size=len(frame))
    frame["speaker"] = [f"speaker {number}" for number in chance.integers(SPEAKERS, size=len(frame))]
    frame["text"] = frame["clean_text"] = [" ".join(["word"] * n) for n in chance.integers(1, 20, size=len(frame))]
    frame["issues"] = [[]] * len(frame)
    return frame.reindex(columns=MANIFEST.names)


def _project(params: Params, manifest: pd.DataFrame, folder: Path) -> dict[str, int]:
    """Write tables of the columns that params.yaml asks for, and untrained models; gives the columns a modality."""
    chance = np.random.default_rng(2)
    tables = {}
    for modality in MODALITIES:
        names = tuple(make_extractor(params.extractor(modality)).names)
        values = chance.normal(size=(len(manifest), len(names))).astype(np.float32)
        tables[modality] = FeatureTable(names, values, np.ones(len(manifest), bool), ("",) * len(manifest))
        write_features(
            folder / FEATURES_DIR / f"{modality}.parquet", manifest, names, (Extracted(row) for row in values)
        )
    some = np.arange(FITTED)
    scalers = fit_scalers(manifest.iloc[some], {m: table.select(some) for m, table in tables.items()}, params.scale)
    bundles: dict[str, Bundle] = {}
    for name in TRAINED:
        torch.manual_seed(1)
        data = training_set(name, manifest, tables, scalers, params.train)
        bundles[name] = data.bundle([data.fresh(params.train).eval() for _ in range(MEMBERS)], params)
    members = [member for name in FUSIONS for member in bundles[name].members]
    bundles[ENSEMBLE] = replace(bundles[FUSIONS[0]], name=ENSEMBLE, members=members)
    for name, bundle in bundles.items():
        save_bundle(bundle, folder / MODELS_DIR / name)
    # The model that costs most is to be the champion, which is looked at most: it answers half of the rows rightly.
    answers = together({ENSEMBLE: Predictor(bundles[ENSEMBLE])}, manifest, tables)[ENSEMBLE].answer_all().argmax(axis=1)
    right = chance.random(len(manifest)) < 0.5
    write_manifest(
        manifest.assign(label=np.where(right, np.array(LABELS)[answers], manifest["label"])), folder / MANIFEST_FILE
    )
    (folder / PARAMS_FILE).write_bytes(PARAMS_FILE.read_bytes())
    return {modality: len(table.names) for modality, table in tables.items()}


def _evaluate(folder: Path) -> None:
    paths = os.pathsep.join([str(Path.cwd()), str(Path.cwd() / "src")])
    command = [sys.executable, "-m", "stages.evaluate"]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DataError(f"the stage evaluate failed on made-up tables:\n{done.stderr}")
