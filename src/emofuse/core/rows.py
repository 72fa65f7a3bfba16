"""The row of a dialogue, described once: what layouts give, what the manifest holds, what requests and models get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emofuse.core.records import Line

Split = Literal["train", "dev", "test", "predict"]
Seconds = Annotated[float | None, Field(ge=0, allow_inf_nan=False)]
Rank = Annotated[int | None, Field(ge=0)]
Length = Annotated[int | None, Field(ge=1)]
# What comes from outside has bounds that a table has not.
GivenSeconds = Annotated[Seconds, Field(le=1e6)]
GivenSpeaker = Annotated[str | None, Field(max_length=200)]


class GivenLine(BaseModel):
    """A line of a dialogue as it comes in a request or a transcript."""

    text: Annotated[str, Field(description="what was said")]
    speaker: Annotated[GivenSpeaker, Field(description="who said it: any name that tells speakers apart")] = None
    start: Annotated[GivenSeconds, Field(description="seconds in the dialogue")] = None
    end: Annotated[GivenSeconds, Field(description="seconds in the dialogue")] = None

    def line(self) -> Line:
        """The same as extractors look at it."""
        return Line(self.text, self.speaker, self.start, self.end)


@dataclass(frozen=True)
class AsRead:
    """Marks a column that a layout gives, as strings; one that it doesn't know holds a default."""

    default: str | None


class ManifestRow(BaseModel):
    """A row of the manifest. Only `issues` may differ between two readings of one table.

    Attributes:
        split: whether it is trained on, chosen by, measured on, or only gets a prediction.
        dialogue: its id, or one of the row's own where it stands alone.
        utterance: its number in the dialogue.
        clip: relative to the data root; None where there is none.
        clip_sha256: of its bytes.
        text: as found.
        clean_text: the same, cleaned.
        speaker: empty where unknown.
        start: seconds; None where unknown.
        end: seconds; None where unknown.
        clock: what its times are counted on: only times of one clock can be compared.
        position: 0-based rank in the dialogue; None where the row stands alone.
        dialogue_length: utterances in the dialogue; None where the row stands alone.
        group: what it is kept apart from other rows by: its dialogue or speaker, or what links several of them.
        label: None where unlabelled.
        intensity: of the emotion, in the corpus's own word; empty where unknown.
        row_id: names the row in a submission.
        source: the file that holds the row.
        row: its number there, from 1, the header not counted.
        issues: what is wrong with the row.
    """

    model_config = ConfigDict(extra="forbid", strict=True, regex_engine="python-re")

    split: Annotated[Split, AsRead("train")]
    dialogue: Annotated[str, Field(min_length=1), AsRead(None)]
    utterance: Annotated[int, AsRead(None)]
    clip: Annotated[str | None, Field(pattern=r"^(?!/)(?!.*(^|/)\.\.(/|$))"), AsRead(None)]
    clip_sha256: Annotated[str | None, Field(pattern=r"^[0-9a-f]{64}$")]
    text: Annotated[str, AsRead("")]
    clean_text: str
    speaker: Annotated[str, AsRead("")]
    start: Annotated[Seconds, AsRead("")]
    end: Annotated[Seconds, AsRead("")]
    clock: Annotated[str, Field(min_length=1), AsRead(None)]
    position: Rank
    dialogue_length: Length
    group: Annotated[str, Field(min_length=1)]
    label: Annotated[str | None, Field(min_length=1), AsRead("")]
    intensity: Annotated[str, AsRead("")]
    row_id: Annotated[str, AsRead(None)]
    source: Annotated[str, AsRead("")]
    row: Annotated[int, Field(ge=0), AsRead(None)]
    issues: list[str]

    @model_validator(mode="after")
    def _inside(self) -> ManifestRow:
        if self.position is not None and self.position >= (self.dialogue_length or 0):
            raise ValueError(f"position {self.position} is not inside a dialogue of {self.dialogue_length} utterances")
        return self


# What a layout gives, and what each column holds that it doesn't know.
AS_READ = {
    name: mark.default
    for name, field in ManifestRow.model_fields.items()
    for mark in field.metadata
    if isinstance(mark, AsRead)
}
# The columns of an MLflow model's input, under what they are called there.
MODEL_COLUMNS = {"video": "clip", "utterance": "text", "position": "position", "dialogue_length": "dialogue_length"}
