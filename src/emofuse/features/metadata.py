"""Metadata features: how long an utterance is and where it stands in its dialogue."""

from __future__ import annotations

import math

from emofuse.errors import MediaError
from emofuse.features.base import OneByOne, ordered
from emofuse.media import probe_duration
from emofuse.params import MetadataParams
from emofuse.schema import Extracted, Utterance


class MetadataExtractor(OneByOne):
    """Duration in seconds, position (0-based), relative position (0 to 1) and dialogue length in utterances.

    The clip's own length goes before the table's, so that the pipeline and the service, which sees no table, agree;
    where neither tells, the duration is NaN.
    """

    def __init__(self, params: MetadataParams) -> None:
        places = ("position", "relative_position", "dialogue_length")
        self.names: tuple[str, ...] = ("duration", *places) if params.duration else places

    def warm_up(self) -> None:
        """Nothing loads late here."""

    def _one(self, utterance: Utterance) -> Extracted:
        position, length = utterance.position, utterance.dialogue_length
        if position is None:
            return Extracted(None, "no dialogue context")
        length = max(length or 0, position + 1)
        values = {
            "duration": _duration(utterance) if "duration" in self.names else math.nan,
            "position": position,
            "relative_position": position / max(length - 1, 1),
            "dialogue_length": length,
        }
        return Extracted(ordered(self.names, values))


def _duration(utterance: Utterance) -> float:
    if utterance.clip is not None:
        try:
            return probe_duration(utterance.clip)
        except MediaError:
            pass  # the media extractors report it; the table may still know
    return math.nan if utterance.duration is None else utterance.duration
