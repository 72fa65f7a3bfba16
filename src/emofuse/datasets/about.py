"""What a model that learns from a manifest will say of the data."""

from __future__ import annotations

import pandas as pd

from emofuse.core.layouts import CORPORA
from emofuse.core.learnt import LearntFrom
from emofuse.core.params import IngestParams
from emofuse.core.records import SPLITS
from emofuse.datasets.groups import kept_apart
from emofuse.datasets.provenance import read_provenance


def describe_data(manifest: pd.DataFrame, params: IngestParams) -> LearntFrom:
    """What is known of the data: from `ingest.about`, else from its layout, else from what `emofuse fetch` recorded.

    Args:
        manifest: of the data.
        params: how it was read.
    """
    about, usual, fetched = params.about, CORPORA.get(params.layout), read_provenance(params.root)
    labelled = manifest[manifest["label"].notna() & manifest["split"].isin(SPLITS)]
    speakers = set(labelled["speaker"]) - {""}
    named = (about.name, usual and usual.title, fetched and fetched.title, params.root.name)
    terms = (about.licence, usual and usual.licence, fetched and fetched.licence)
    languages = about.languages or (usual and usual.languages)
    return LearntFrom(
        corpus=next(name for name in named if name),
        synthetic=bool(usual and usual.synthetic),
        rows=len(labelled),
        people=len(speakers) or None,
        languages=tuple(languages) if languages else None,
        licence=next((licence for licence in terms if licence), None),
        protocol=_protocol(labelled),
    )


def _protocol(labelled: pd.DataFrame) -> str:
    """Who was trained on and measured on, and what was kept apart, in a few sentences."""
    parts = {split: labelled[labelled["split"] == split] for split in SPLITS}
    counts = {split: f"{len(part)} utterances{_of_people(part)}" for split, part in parts.items()}
    apart = kept_apart(labelled)
    return (
        f"Trained on {counts['train']}, chosen on {counts['dev']}, measured on {counts['test']}. "
        f"Folds, and splits that the data doesn't bring, are cut by {apart['by']}. {apart['headline']}"
    )


def _of_people(rows: pd.DataFrame) -> str:
    speakers = set(rows["speaker"]) - {""}
    return f" of {len(speakers)} {'person' if len(speakers) == 1 else 'people'}" if speakers else ""
