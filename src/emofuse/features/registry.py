"""Extractors by modality, for those that need them all, such as the predictor; a stage imports only its own."""

from __future__ import annotations

from emofuse.features.base import Extractor
from emofuse.params import AudioParams, ExtractorParams, MetadataParams, TextParams, VisualParams


def make_extractor(params: ExtractorParams, device: str = "cpu") -> Extractor:
    """The extractor that reads these params; its heavy libraries are imported here and not before."""
    match params:
        case TextParams():
            from emofuse.features.text import TextExtractor

            return TextExtractor(params, device)
        case AudioParams():
            from emofuse.features.audio import AudioExtractor

            return AudioExtractor(params)
        case VisualParams():
            from emofuse.features.visual import VisualExtractor

            return VisualExtractor(params)
        case MetadataParams():
            from emofuse.features.metadata import MetadataExtractor

            return MetadataExtractor(params)
