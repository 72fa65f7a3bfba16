"""Stage scale: fit each modality's z-scores on the present training rows."""

from __future__ import annotations

from emofuse.errors import guard
from emofuse.features.scaling import Scaler, save_scalers
from emofuse.params import load_params
from emofuse.schema import MODALITIES, SCALERS_FILE, read_features, read_manifest


def main() -> None:
    """Fit a scaler a modality and write them all to one file."""
    params = load_params()
    manifest = read_manifest()
    train = (manifest["split"] == "train").to_numpy()
    scalers = {
        modality: Scaler.fit(read_features(modality, manifest).select(train), params.scale.clip)
        for modality in MODALITIES
    }
    save_scalers(SCALERS_FILE, scalers)


if __name__ == "__main__":
    with guard():
        main()
