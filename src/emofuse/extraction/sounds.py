"""The features of sounds before the stage audio: the same, from the same cache, for the search of leaks by ear."""

from __future__ import annotations

from functools import partial

import pandas as pd

from emofuse.core.params import Params
from emofuse.core.records import FeatureTable
from emofuse.core.tables import utterances
from emofuse.extraction.content import clip_content
from emofuse.extraction.run import Task, extract_table
from emofuse.features.registry import make_extractor


def sound_features(manifest: pd.DataFrame, params: Params) -> FeatureTable:
    """The features of the sound of each of n rows, as `params.audio` says.

    Raises:
        ExtractorError: no clip can be extracted.
    """
    task = Task("audio", params.audio, partial(make_extractor, params.audio), clip_content)
    return extract_table(task, utterances(manifest, params.extract.clips or params.ingest.root), params.extract)
