"""Stage train: every model that learns, to models/<name>/, and its learning curves."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain, islice

import pandas as pd

from emofuse.core.errors import guard
from emofuse.core.params import Params, load_params
from emofuse.core.paths import FINETUNED_DIR, MODELS_DIR
from emofuse.core.tables import write_csv
from emofuse.fusion.names import TRAINED
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.bundle import save_bundle
from emofuse.reporting.plots import curve_picture
from emofuse.training.calibration import fit_temperature
from emofuse.training.dataset import TrainingSet, read_training_set
from emofuse.training.held_out import training_folder, write_folds, write_held_out
from emofuse.training.loop import Trained, collected, train_all


def main() -> None:
    """Train all models on the labelled rows of the training split, their members side by side."""
    params = load_params()
    sets = [read_training_set(name, params.train) for name in TRAINED]
    members = train_all(chain.from_iterable(data.jobs(params.train, params.seed) for data in sets))
    for data in sets:
        own = islice(members, params.train.folds * params.train.seeds)
        trained = collected(own, len(data.targets), params.train)
        scores = " ".join(f"{fold.weighted_f1:.3f}" for fold in trained.folds)
        print(f"{data.name}: held-out weighted F1 of its members {scores}")
        write(params, data, trained)


def write(params: Params, data: TrainingSet, trained: Trained) -> None:
    """Write a model's bundle and what reports and the ensemble want to know of its training."""
    name = data.name
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
        finetuned=FINETUNED_DIR if params.text.finetune.epochs and "text" in data.features else None,
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
    with guard():
        main()
