"""Stage scale: fit each modality's z-scores and projections on the present training rows."""

from emofuse.core.errors import guard
from emofuse.core.params import load_params
from emofuse.core.paths import SCALERS_FILE
from emofuse.core.tables import read_all_features, read_manifest
from emofuse.fusion.scaling import fit_scalers, save_scalers


def main() -> None:
    """Fit a scaler a modality and write them all to one file."""
    params, manifest = load_params(), read_manifest()
    save_scalers(SCALERS_FILE, fit_scalers(manifest, read_all_features(manifest), params.scale))


if __name__ == "__main__":
    with guard():
        main()
