"""The features of sounds: for the stage audio and, before it, for the search of leaks by ear, from one cache."""

from __future__ import annotations

from functools import partial

import pandas as pd

from emofuse.core.params import AudioParams, Params
from emofuse.core.records import FeatureTable
from emofuse.core.tables import utterances
from emofuse.extraction.content import clip_content
from emofuse.extraction.run import Task, extract_table
from emofuse.features.contract import Extractor


def _make(params: AudioParams) -> Extractor:
    from emofuse.features.audio.extractor import AudioExtractor  # where there is something to extract

    return AudioExtractor(params)


def sound_task(params: AudioParams) -> Task:
    """The extraction of the features of sounds as these params say."""
    return Task("audio", params, partial(_make, params), clip_content)


def sound_features(manifest: pd.DataFrame, params: Params) -> FeatureTable:
    """The features of the sound of each of n rows, as `params.audio` says.

    Raises:
        ExtractorError: no clip can be extracted.
    """
    rows = utterances(manifest, params.extract.clips or params.ingest.root)
    return extract_table(sound_task(params.audio), rows, params.extract)
