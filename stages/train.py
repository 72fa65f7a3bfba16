"""Stage train: one model of the matrix, to models/<name>/ and its learning curves."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial

import pandas as pd

from emofuse.bundle import Bundle, save_bundle
from emofuse.calibration import fit_temperature
from emofuse.errors import guard
from emofuse.evaluation.held_out import training_folder, write_folds, write_held_out
from emofuse.evaluation.plots import curve_picture
from emofuse.fusion.registry import TRAINED
from emofuse.params import load_params
from emofuse.schema import MODELS_DIR, TUNED_DIR, write_csv
from emofuse.training import Trained, train
from emofuse.trainingset import read_training_set


def main(name: str) -> None:
    """Train a model on the labelled rows of the training split."""
    params = load_params()
    data = read_training_set(name, params.train)
    trained = train(partial(data.make, params.train), data.rows, data.dialogues, params.train, params.seed)
    temperature = fit_temperature(trained.held_out, data.targets)
    bundle = Bundle(
        name=name,
        labels=tuple(data.labels),
        features=data.features,
        extractors={modality: params.extractor(modality) for modality in data.features},
        scalers=data.scalers,
        train=params.train,
        seed=params.seed,
        members=trained.members,
        temperature=temperature,
        tuned=TUNED_DIR if params.text.finetune.epochs and "text" in data.features else None,
    )
    save_bundle(bundle, MODELS_DIR / name)
    write_held_out(name, data.keys, data.targets, trained.held_out, data.labels)
    write_folds(name, trained.folds, data.targets, trained.held_out, temperature)
    write_curves(name, trained)


def write_curves(name: str, trained: Trained) -> None:
    """Write every epoch of every fold, and the curve of their means that DVC plots."""
    folder = training_folder(name)
    history = pd.DataFrame([asdict(epoch) for epoch in trained.history])
    write_csv(folder / "history.csv", history)
    # Folds of unlike size may differ by an epoch; a mean over fewer than all of them would jump.
    shared = history.groupby("epoch").filter(lambda epoch: len(epoch) == len(trained.members))
    curve = shared.groupby("epoch").mean().drop(columns="fold").reset_index()
    write_csv(folder / "curve.csv", curve)
    curve_picture(folder / "curve.png", name, curve)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=TRAINED)
    with guard():
        main(parser.parse_args().model)
