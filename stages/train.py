"""Stage train: one model of the matrix, to models/<name>/ and its learning curves."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from emofuse.bundle import Bundle, save_bundle
from emofuse.calibration import fit_temperature
from emofuse.errors import guard
from emofuse.evaluation.held_out import training_folder, write_folds, write_held_out
from emofuse.evaluation.plots import curve_picture
from emofuse.features.scaling import load_scalers
from emofuse.fusion.context import manifest_lines
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.registry import TRAINED, make_model, model_modalities
from emofuse.params import load_params
from emofuse.schema import MODELS_DIR, SCALERS_FILE, label_order, read_features, read_manifest
from emofuse.training import Rows, Trained, train


def main(name: str) -> None:
    """Train a model on the labelled rows of the training split."""
    params, manifest = load_params(), read_manifest()
    labels, scalers = label_order(manifest), load_scalers(SCALERS_FILE)
    rows = ((manifest["split"] == "train") & manifest["label"].notna()).to_numpy()
    found = {modality: read_features(modality, manifest) for modality in model_modalities(name)}
    tables = {modality: table.select(rows) for modality, table in found.items()}
    # A modality that no training row has can't be learnt from: fusion goes without it, its baseline answers the prior.
    modalities = [modality for modality in tables if tables[modality].present.any()] or list(tables)
    tables = {modality: tables[modality] for modality in modalities}
    lines = None
    if name == "attention" and "text" in modalities:
        lines = manifest_lines(manifest, found["text"], params.train.attention).select(rows)
    batch = make_batch(tables, scalers, modalities, lines)
    targets = np.array([labels.index(label) for label in manifest["label"][rows]])
    dims = {modality: scalers[modality].width for modality in modalities}

    trained = train(
        make=lambda: make_model(name, dims, len(labels), params.train),
        rows=Rows(batch, torch.from_numpy(targets)),
        dialogues=manifest["dialogue"][rows].tolist(),
        params=params.train,
        seed=params.seed,
    )
    temperature = fit_temperature(trained.held_out, targets)
    bundle = Bundle(
        name=name,
        labels=tuple(labels),
        features={modality: table.names for modality, table in tables.items()},
        extractors={modality: params.extractor(modality) for modality in modalities},
        scalers={modality: scalers[modality] for modality in modalities},
        train=params.train,
        seed=params.seed,
        members=trained.members,
        temperature=temperature,
    )
    save_bundle(bundle, MODELS_DIR / name)
    write_held_out(name, manifest[rows], targets, trained.held_out, labels)
    write_folds(name, trained.folds, targets, trained.held_out, temperature)
    write_curves(name, trained)


def write_curves(name: str, trained: Trained) -> None:
    """Write every epoch of every fold, and the curve of their means that DVC plots."""
    folder = training_folder(name)
    history = pd.DataFrame([asdict(epoch) for epoch in trained.history])
    _write_csv(history, folder / "history.csv")
    # Folds of unlike size may differ by an epoch; a mean over fewer than all of them would jump.
    shared = history.groupby("epoch").filter(lambda epoch: len(epoch) == len(trained.members))
    curve = shared.groupby("epoch").mean().drop(columns="fold").reset_index()
    _write_csv(curve, folder / "curve.csv")
    curve_picture(folder / "curve.png", name, curve)


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=TRAINED)
    with guard():
        main(parser.parse_args().model)
