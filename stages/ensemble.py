"""Stage ensemble: the fusions' members in one bundle, weighted by how well they answer for held-out rows."""

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import MODELS_DIR
from emofuse.core.tables import read_features, read_manifest, training_rows
from emofuse.fusion.names import ENSEMBLE, FUSIONS
from emofuse.inference.bundle import load_bundle, save_bundle
from emofuse.training.bundle_training import make_ensemble
from emofuse.training.record import TrainedBundle, read_held_out, write_training


def main() -> None:
    """Fit the weights and the temperature on the held-out folds of the training split, and write models/ensemble."""
    load_params()  # a mistake in params.yaml stops every stage alike
    manifest = read_manifest()
    bundles = [load_bundle(MODELS_DIR / name) for name in FUSIONS]
    trained = [TrainedBundle(bundle, read_held_out(bundle.name, bundle.labels)) for bundle in bundles]
    ensemble = make_ensemble(trained, read_features("text", manifest).select(training_rows(manifest)))
    save_bundle(ensemble.bundle, MODELS_DIR / ENSEMBLE)
    write_training(ensemble)
    print(", ".join(f"{name} {weight:.3f}" for name, weight in ensemble.shares.items()))


if __name__ == "__main__":
    with guard():
        main()
