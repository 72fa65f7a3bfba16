"""Extractors and feature groups by modality, for those that need them all; a stage imports only its own extractor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import get_args

from emofuse.core.params import (
    EXTRACTOR_PARAMS,
    AudioParams,
    ExtractorParams,
    MetadataParams,
    Params,
    TextParams,
    VisualParams,
)
from emofuse.core.progress import progress
from emofuse.core.records import MODALITIES, FeatureTable, Utterance
from emofuse.features.contract import Extractor, FeatureGroup

# What gives a modality's groups of columns; each is loaded where it is asked.
GROUPS = {
    "text": "emofuse.features.text.extractor:text_groups",
    "audio": "emofuse.features.audio.extractor:audio_groups",
    "visual": "emofuse.features.visual.extractor:visual_groups",
    "metadata": "emofuse.features.metadata:metadata_groups",
}


def make_extractor(
    params: ExtractorParams, device: str = "cpu", finetuned: Path | None = None, assets: Path | None = None
) -> Extractor:
    """The extractor that reads these params; its heavy libraries are imported here and not before.

    Args:
        params: of a modality.
        device: `cpu` or `cuda`.
        finetuned: folder of the finetuned encoders, where text has any.
        assets: folder of a bundle that may hold weights which packages hold otherwise.
    """
    match params:
        case TextParams():
            from emofuse.features.text.extractor import TextExtractor
            from emofuse.features.text.finetuned import FinetunedEncoder, FinetunedExtractor

            plain = TextExtractor(params, device)
            return (
                plain if finetuned is None else FinetunedExtractor(plain, FinetunedEncoder(finetuned, params, device))
            )
        case AudioParams():
            from emofuse.features.audio.extractor import AudioExtractor

            return AudioExtractor(params, assets)
        case VisualParams():
            from emofuse.features.visual.extractor import VisualExtractor

            return VisualExtractor(params, assets)
        case MetadataParams():
            from emofuse.features.metadata import MetadataExtractor

            return MetadataExtractor(params)


def extract_tables(utterances: Sequence[Utterance], params: Params) -> dict[str, FeatureTable]:
    """The features of n utterances, a table a modality, extracted in this process without a cache.

    The stages extract the same, a core each, by `extraction.run`. Finetuned encoders have a stage of their own.
    """
    tables = {}
    for modality in MODALITIES:
        extractor = make_extractor(params.extractor(modality))
        rows = progress(extractor.extract(utterances), modality, len(utterances), "utterance")
        tables[modality] = FeatureTable.stack(extractor.names, list(rows))
    return tables


def class_labels(params: ExtractorParams) -> tuple[str, ...]:
    """The own classes of the encoder of words, sounds or faces that these params name, in the order of its columns.

    Raises:
        EncoderError: there is no such encoder, or it is no classifier.
    """
    match params:
        case TextParams():
            from emofuse.features.text.encoder import load_labels

            labels = load_labels(params.encoder)
        case AudioParams():
            from emofuse.features.audio.encoder import sound_encoder

            labels = sound_encoder(params.encoder, params.precision, None).labels
        case VisualParams():
            from emofuse.features.visual.encoder import face_encoder

            labels = face_encoder(params.encoder, params.precision).labels
        case MetadataParams():
            labels = ()
    feature_groups(params)  # refuses what is no classifier
    return labels


def feature_groups(params: ExtractorParams) -> tuple[FeatureGroup, ...]:
    """The groups that these params choose, in the order of the extractor's columns."""
    modality = next(name for name, kind in EXTRACTOR_PARAMS.items() if isinstance(params, kind))
    groups: tuple[FeatureGroup, ...] = resolve_name(GROUPS[modality])(params)
    return groups


def all_groups(params: ExtractorParams) -> tuple[FeatureGroup, ...]:
    """The groups that could be chosen, by params otherwise the same."""
    listed, *_ = get_args(type(params).model_fields["groups"].annotation)
    names = [name for name in get_args(listed) if name != "classes"]  # which a text encoder may not have
    return feature_groups(params.model_copy(update={"groups": names}))
