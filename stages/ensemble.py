"""Stage ensemble: the fusions' members in one bundle, weighted by how well they answer for held-out rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from emofuse.bundle import load_bundle, save_bundle
from emofuse.calibration import fit_shares, fit_temperature, pooled
from emofuse.errors import guard
from emofuse.evaluation.held_out import read_held_out, training_folder, write_folds, write_held_out
from emofuse.fusion.registry import ENSEMBLE, FUSIONS
from emofuse.params import load_params
from emofuse.schema import MODELS_DIR, write_json
from emofuse.training import score


def main() -> None:
    """Fit the weights and the temperature on the held-out folds of the training split, and write models/ensemble."""
    load_params()  # a mistake in params.yaml stops every stage alike
    bundles = [load_bundle(MODELS_DIR / name) for name in FUSIONS]
    rows, _ = read_held_out(FUSIONS[0])
    labels = list(bundles[0].labels)
    targets = np.array([labels.index(label) for label in rows["label"]])
    answers = np.stack([read_held_out(name)[1] for name in FUSIONS])
    weights = fit_shares(answers, targets)
    mixed = pooled(answers, weights)
    temperature = fit_temperature(mixed, targets)

    members = [member for bundle in bundles for member in bundle.members]
    shares = [weight * share for weight, b in zip(weights, bundles, strict=True) for share in b.shares]
    ensemble = replace(
        bundles[0], name=ENSEMBLE, members=members, weights=tuple(shares), temperature=temperature, version=""
    )
    save_bundle(ensemble, MODELS_DIR / ENSEMBLE)
    write_held_out(ENSEMBLE, rows, targets, mixed, labels)
    write_folds(ENSEMBLE, [score(targets, mixed.argmax(axis=1))], targets, mixed, temperature)
    write_json(training_folder(ENSEMBLE) / "weights.json", dict(zip(FUSIONS, weights, strict=True)))
    print(", ".join(f"{name} {weight:.3f}" for name, weight in zip(FUSIONS, weights, strict=True)))


if __name__ == "__main__":
    with guard():
        main()
