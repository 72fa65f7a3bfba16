"""Why a modality is absent, or how far a clip could be used, as values; what users read is made of them here alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

HOLE = "{}"  # where the detail stands


class Reason(StrEnum):
    """A kind of reason, as it reads."""

    NO_CLIP = "no clip"
    NO_VIDEO_SENT = "no video sent"
    NOTHING_CAME = "nothing came"
    NO_TEXT = "no text"
    NO_DIALOGUE = "no dialogue context"
    CLIP_NOT_GIVEN = "clip not given"
    CLIP_LINKED_OUTSIDE = "clip path leaves the data root by a link: {}"
    CLIP_OUTSIDE = "clip path leaves the data root: {}"
    CLIP_PATH = "clip path unreadable: {}"
    CLIP_NOT_FOUND = "clip not found: {}"
    NOT_FOUND = "file not found"
    EMPTY = "file is empty"
    UNREADABLE = "can't be read: {}"
    UNDECODABLE = "can't be decoded: {}"
    CHANGED = "not the clip that ingest read; run `dvc repro -f ingest`"
    CRASHED = "decoder crashed"
    FAILED = "decoder failed: {}"
    SLOW = "took longer than {} s; raise extract.seconds"
    OVER_LIMIT = "found {}"
    NO_TRACK = "no video or sound track"
    NO_VIDEO = "no video track"
    NO_SOUND = "no sound track"
    UNKNOWN_CODEC = "{} track in an unknown codec"
    NO_LENGTH = "header gives no length"
    TOO_LONG = "longer than {} s; cut it into utterances"
    NO_FRAMES = "video track without frames"
    NO_SAMPLES = "sound track without samples"
    NO_PICTURE = "picture can't be decoded"
    NO_FACE = "no face found"
    SILENT = "silent sound track"
    NO_SPEECH = "no speech in the sound"
    UNCLEAR = "speech, but no words that the recogniser is sure of"
    NOT_RECOGNISED = "recognition failed: {}"
    DAMAGED = "damaged after {} s"
    OTHER = "{}"


BLAMED = frozenset({Reason.CRASHED, Reason.FAILED, Reason.SLOW, Reason.NOT_RECOGNISED})
"""What may as well be the extractor's fault as the clip's."""

NO_CLIP_GIVEN = frozenset({Reason.CLIP_NOT_GIVEN, Reason.CLIP_LINKED_OUTSIDE, Reason.CLIP_OUTSIDE, Reason.CLIP_PATH,
                           Reason.CLIP_NOT_FOUND})  # fmt: skip
"""Why a row of a table has no clip."""

PASSING = frozenset({*BLAMED, Reason.NOT_FOUND, Reason.UNREADABLE, Reason.CHANGED})
"""What may be gone tomorrow though the clip is the same."""

BROKEN = frozenset({*PASSING, *NO_CLIP_GIVEN, Reason.EMPTY, Reason.UNDECODABLE, Reason.NO_TRACK, Reason.UNKNOWN_CODEC,
                    Reason.TOO_LONG, Reason.NO_FRAMES, Reason.NO_SAMPLES, Reason.DAMAGED})  # fmt: skip
"""Faults of a clip; others, such as a face that nobody sees, are none."""


@dataclass(frozen=True)
class Cause:
    """A reason and what differs from case to case."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        """What users read."""
        return self.reason.replace(HOLE, self.detail)

    @property
    def kind(self) -> str:
        """The same without what differs from row to row, for counting."""
        return self.reason.removesuffix(f": {HOLE}") if self.reason.endswith(f": {HOLE}") else str(self)

    @classmethod
    def parse(cls, text: str) -> Cause:
        """The cause that reads so; of text that none of ours reads like, `Reason.OTHER`."""
        return next(cls(reason, *match.groups()) for reason, form in _FORMS.items() if (match := form.fullmatch(text)))


def _form(reason: Reason) -> re.Pattern[str]:
    start, hole, end = reason.partition(HOLE)
    return re.compile(f"{re.escape(start)}{'(.*)' if hole else ''}{re.escape(end)}", re.DOTALL)


_FORMS = {reason: _form(reason) for reason in Reason}  # the last, `Reason.OTHER`, is that of any text
