"""Stage scale: fit each modality's z-scores and projections on the present training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from emofuse.core.errors import DataError, guard, listed
from emofuse.core.params import load_params
from emofuse.core.paths import SCALERS_FILE
from emofuse.core.records import MODALITIES, FeatureTable
from emofuse.core.tables import read_features, read_manifest
from emofuse.fusion.scaling import Scaler, save_scalers


def main() -> None:
    """Fit a scaler a modality and write them all to one file."""
    params = load_params()
    manifest = read_manifest()
    train = ((manifest["split"] == "train") & manifest["label"].notna()).to_numpy()
    tables = {modality: read_features(modality, manifest).select(train) for modality in MODALITIES}
    refuse_empty(tables)
    scale = params.scale
    fitted = {name: Scaler.fit(table, scale.clip, scale.projection.items()) for name, table in tables.items()}
    save_scalers(SCALERS_FILE, fitted)


def refuse_empty(tables: Mapping[str, FeatureTable]) -> None:
    """Stop where nothing could be extracted from any training row.

    Raises:
        DataError: no text, sound or face was found in any of them; each modality's commonest reason is given.
    """
    sensed = [modality for modality in tables if modality != "metadata"]
    if not any(tables[modality].present.any() for modality in sensed):
        reasons = {modality: Counter(tables[modality].reasons).most_common(1)[0] for modality in sensed}
        raise DataError(
            f"every one of {len(tables['text'].present)} labelled training rows is without text, sound and face, "
            "expected at least one that has any; the commonest reasons:\n"
            + listed([f"{modality}: {reason} ({count} rows)" for modality, (reason, count) in reasons.items()])
        )


if __name__ == "__main__":
    with guard():
        main()
