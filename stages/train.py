"""Stage train: every model that learns, to models/<name>/, and its learning curves."""

from emofuse.core.errors import guard
from emofuse.core.files import read_json
from emofuse.core.learnt import LearntFrom
from emofuse.core.params import load_params
from emofuse.core.paths import LEARNT_FILE, MODELS_DIR, SCALERS_FILE
from emofuse.core.tables import read_all_features, read_manifest
from emofuse.fusion.names import TRAINED
from emofuse.fusion.scaling import load_scalers
from emofuse.inference.bundle import save_bundle
from emofuse.reporting.plots import curve_picture
from emofuse.training.bundle_training import train_bundles
from emofuse.training.record import training_folder, write_training


def main() -> None:
    """Train all models on the labelled rows of the training split, their members side by side."""
    params = load_params()
    manifest = read_manifest()
    tables, scalers = read_all_features(manifest), load_scalers(SCALERS_FILE)
    learnt_from = LearntFrom.model_validate(read_json(LEARNT_FILE))
    for trained in train_bundles(TRAINED, manifest, tables, scalers, params, learnt_from=learnt_from):
        name = trained.bundle.name
        save_bundle(trained.bundle, MODELS_DIR / name)
        write_training(trained)
        curve_picture(training_folder(name) / "curve.png", name, trained.curve())
        scores = " ".join(f"{fold.weighted_f1:.3f}" for fold in trained.folds)
        print(f"{name}: held-out weighted F1 of its members {scores}")


if __name__ == "__main__":
    with guard():
        main()
