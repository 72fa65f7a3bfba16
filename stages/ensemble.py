"""Stage ensemble: the fusions' members in one bundle, weighted by how well they answer for held-out rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import MODELS_DIR
from emofuse.core.records import Extracted, FeatureTable
from emofuse.core.tables import read_features, read_manifest, write_json
from emofuse.fusion.base import Fusion
from emofuse.fusion.finetuned import FinetunedScores
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.names import ENSEMBLE, FUSIONS
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.inference.predictor import member_answer
from emofuse.training.calibration import fit_shares, fit_temperature, log_pool
from emofuse.training.held_out import read_held_out, training_folder, write_folds, write_held_out
from emofuse.training.loop import score


def main() -> None:
    """Fit the weights and the temperature on the held-out folds of the training split, and write models/ensemble."""
    load_params()  # a mistake in params.yaml stops every stage alike
    bundles = {name: load_bundle(MODELS_DIR / name) for name in FUSIONS}
    rows, _ = read_held_out(FUSIONS[0])
    first = bundles[FUSIONS[0]]
    labels = list(first.labels)
    targets = np.array([labels.index(label) for label in rows["label"]])
    answers = {name: read_held_out(name)[1] for name in FUSIONS}
    parts = {name: (bundle.members, bundle.shares) for name, bundle in bundles.items()}
    if first.finetuned:
        answers[FinetunedScores.kind], member = finetuned(first, targets)
        parts[FinetunedScores.kind] = ([member], (1.0,))
    stacked = np.stack(list(answers.values()))
    weights = dict(zip(answers, fit_shares(stacked, targets), strict=True))
    mixed = log_pool(stacked, list(weights.values()))
    temperature = fit_temperature(mixed, targets)

    members = [member for group, _ in parts.values() for member in group]
    shares = [weights[name] * share for name, (_, each) in parts.items() for share in each]
    ensemble = replace(
        first, name=ENSEMBLE, members=members, weights=tuple(shares), temperature=temperature, version=""
    )
    save_bundle(ensemble, MODELS_DIR / ENSEMBLE)
    write_held_out(ENSEMBLE, rows, targets, mixed, labels)
    write_folds(ENSEMBLE, [score(targets, mixed.argmax(axis=1))], targets, mixed, temperature)
    write_json(training_folder(ENSEMBLE) / "weights.json", weights)
    print(", ".join(f"{name} {weight:.3f}" for name, weight in weights.items()))


def finetuned(bundle: Bundle, targets: NDArray[np.int64]) -> tuple[NDArray[np.float64], Fusion]:
    """The finetuned encoders as a member: its answers for the training rows, each by an encoder that never met it."""
    manifest = read_manifest()
    chosen = ((manifest["split"] == "train") & manifest["label"].notna()).to_numpy()
    table = read_features("text", manifest).select(chosen)
    dims = {name: scaler.width for name, scaler in bundle.scalers.items()}
    member = FinetunedScores(dims, len(bundle.labels)).fit(bundle.scalers["text"], torch.from_numpy(targets)).eval()
    tables = {
        name: FeatureTable.stack(names, [Extracted(None)] * len(targets)) for name, names in bundle.features.items()
    }
    batch = make_batch(tables | {"text": table}, bundle.scalers, tuple(bundle.features))
    return member_answer(member, batch).numpy(), member


if __name__ == "__main__":
    with guard():
        main()
