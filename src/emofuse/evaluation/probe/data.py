"""The utterances that are probed: those of any layout, or of a single table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams
from emofuse.core.tables import utterances
from emofuse.datasets.manifest import build_manifest
from emofuse.evaluation.probe.run import Labelled


def ingest_of(params: IngestParams, path: Path | None, layout: str | None, columns: Mapping[str, str]) -> IngestParams:
    """The ingest params with another place.

    Args:
        params: those of params.yaml.
        path: a table, or the folder of a layout; None for the place that the params name.
        layout: of the folder; a table has its own.
        columns: under the keys of `ingest.table`, the names of the table's columns.
    """
    if path is None:
        return params
    content = params.model_dump() | {"set": None}  # which is of the place that the params name
    if path.is_dir():
        return IngestParams.model_validate(content | {"root": path, "layout": layout or params.layout})
    unnamed = dict.fromkeys(type(params.table).model_fields)
    table = {**unnamed, "label": params.table.label, "file": path.name, **columns}
    return IngestParams.model_validate(content | {"root": path.parent, "layout": "table", "table": table})


def read_labelled(params: IngestParams, to_dev: bool, seed: int) -> Labelled:
    """The labelled utterances of a data set.

    Args:
        params: where it lies and how, and what folds keep apart.
        to_dev: fit on the training split and score on dev; else every labelled row is in the folds.
        seed: decides the splits of data that have none.

    Raises:
        DataError: the data can't be read, or a row lacks what is kept apart.
    """
    manifest, _ = build_manifest(params, seed)
    everything = utterances(manifest, params.root)  # context is found among all rows, labelled or not
    kept = (manifest["label"].notna() & (manifest["split"].isin(["train", "dev"]) | (not to_dev))).to_numpy()
    groups = manifest["group"]
    if params.apart == "speaker" and (manifest["speaker"][kept] == "").any():
        raise DataError(f"{params.root}: found rows without a speaker to group by; name the column by --speaker")
    data = Labelled(
        everything,
        manifest["label"].fillna("").to_numpy(dtype=str),
        groups.to_numpy(dtype=str),
        (manifest["split"] == "dev").to_numpy() if to_dev else None,
    )
    return data.take(np.asarray(kept, dtype=bool))
