"""Metadata features: how long an utterance is, where it stands in its dialogue and who spoke before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import takewhile

from emofuse.core.errors import MediaError
from emofuse.core.params import MetadataParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import CONTEXT_LINES, Clip, Extracted, Utterance
from emofuse.extraction.clips import clip_of
from emofuse.features.contract import FeatureGroup, ordered

NONE_BEFORE = "; unknown where no line was said before"
GROUPS = {
    group.name: group
    for group in (
        FeatureGroup(
            "duration",
            ("duration",),
            "length of the clip or, where there is none, end less start in the table",
            "s",
            "as in the original system",
        ),
        FeatureGroup(
            "position", ("position",), "lines of the dialogue before this one", "lines", "as in the original system"
        ),
        FeatureGroup(
            "dialogue",
            ("relative_position", "dialogue_length"),
            "position / (length - 1), and the lines of the whole dialogue, those after this one too",
            "1, lines",
            "as in the original system",
        ),
        FeatureGroup(
            "pause",
            ("pause",),
            f"start less the end of the line before, 0 where they overlap{NONE_BEFORE}",
            "s",
            "turn-taking: Sacks, Schegloff and Jefferson, Language 1974",
        ),
        FeatureGroup(
            "overlap",
            ("overlap",),
            f"end of the line before less start, 0 where they don't overlap{NONE_BEFORE}",
            "s",
            "turn-taking: Sacks, Schegloff and Jefferson, Language 1974",
        ),
        FeatureGroup(
            "change",
            ("speaker_change",),
            f"1 where another speaker said the line before, else 0{NONE_BEFORE}",
            "1",
            "DialogueRNN's speaker states (Majumder and others, AAAI 2019)",
        ),
        FeatureGroup(
            "turn",
            ("turn_length",),
            "lines in a row by the speaker, this one counted",
            "lines",
            "turn-taking: Sacks, Schegloff and Jefferson, Language 1974",
        ),
        FeatureGroup(
            "share",
            ("speaker_share",),
            f"share of the last {CONTEXT_LINES} lines before this one that the speaker said{NONE_BEFORE}",
            "1",
            "conversational dominance: Itakura, Journal of Pragmatics 2001",
        ),
    )
}


def metadata_groups(params: MetadataParams) -> tuple[FeatureGroup, ...]:
    """The chosen groups, in the order of the columns."""
    return tuple(GROUPS[name] for name in params.groups)


class MetadataExtractor:
    """The chosen groups of an utterance that stands in a dialogue; NaN where something is unknown.

    The clip's own length goes before the table's, so that the pipeline and the service, which sees no table, agree.
    Only the group `dialogue` looks at later lines.
    """

    def __init__(self, params: MetadataParams) -> None:
        self.params = params
        self.names: tuple[str, ...] = tuple(column for group in metadata_groups(params) for column in group.columns)

    def warm_up(self) -> None:
        """Nothing loads late here."""

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give the features of each utterance, or the reason why there are none."""
        for utterance in utterances:
            with clip_of(utterance) as clip:
                row = self._one(utterance, clip)
            yield row

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        """Give the same, numbered."""
        yield from enumerate(self.extract(utterances))

    def _one(self, utterance: Utterance, clip: Clip | None) -> Extracted:
        if utterance.position is None:
            return Extracted(None, Cause(Reason.NO_DIALOGUE))
        length = max(utterance.dialogue_length or 0, utterance.position + 1)
        gap = _gap(utterance)
        speakers = [line.speaker for line in utterance.context[-CONTEXT_LINES:]]
        values = {
            "duration": _duration(utterance, clip) if "duration" in self.params.groups else math.nan,
            "position": utterance.position,
            "relative_position": utterance.position / max(length - 1, 1),
            "dialogue_length": length,
            "pause": gap if math.isnan(gap) else max(gap, 0.0),
            "overlap": gap if math.isnan(gap) else max(-gap, 0.0),
            **_turns(utterance.speaker, speakers),
        }
        return Extracted(ordered(self.names, values))


def _gap(utterance: Utterance) -> float:
    """Seconds from the end of the line before to the start of this one; negative where they overlap."""
    before = utterance.context[-1].end if utterance.context else None
    return math.nan if before is None or utterance.start is None else utterance.start - before


def _turns(speaker: str | None, before: Sequence[str | None]) -> dict[str, float]:
    if speaker is None:
        return {"speaker_change": math.nan, "turn_length": math.nan, "speaker_share": math.nan}
    return {
        "speaker_change": float(before[-1] != speaker) if before and before[-1] is not None else math.nan,
        "turn_length": 1 + sum(1 for _ in takewhile(lambda name: name == speaker, reversed(before))),
        "speaker_share": sum(name == speaker for name in before) / len(before) if before else math.nan,
    }


def _duration(utterance: Utterance, clip: Clip | None) -> float:
    if clip is not None:
        try:
            return clip.seconds()
        except MediaError:
            pass  # the media extractors report it; the table may still know
    return math.nan if utterance.duration is None else utterance.duration
