"""What the service takes and gives."""

from __future__ import annotations

from typing import Annotated

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, model_validator


class Context(BaseModel):
    """Where the utterance stands in its dialogue."""

    model_config = ConfigDict(extra="forbid")

    position: Annotated[int, Field(ge=0, le=100_000, description="0-based rank of the utterance in its dialogue")]
    dialogue_length: Annotated[
        int | None, Field(ge=1, le=100_000, description="utterances in the dialogue; position + 1 where not given")
    ] = None

    @model_validator(mode="after")
    def _inside(self) -> Context:
        if self.dialogue_length is not None and self.position >= self.dialogue_length:
            raise ValueError(f"position {self.position} is not inside a dialogue of {self.dialogue_length} utterances")
        return self


class PredictRequest(BaseModel):
    """What is known of one utterance: at least a video or a text."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"utterance": "I can't believe you did that!", "context": {"position": 2, "dialogue_length": 9}}
            ]
        },
    )

    video: Annotated[Base64Bytes | None, Field(description="a clip's bytes, as base64")] = None
    utterance: Annotated[str | None, Field(max_length=10_000, description="what was said")] = None
    context: Context | None = None


class Modality(BaseModel):
    """What a modality did for the answer."""

    present: bool
    reason: Annotated[str, Field(description="why it is absent; empty where present")]
    weight: Annotated[float, Field(description="its share of the answer, 0 to 1")]


class PredictResponse(BaseModel):
    """The answer. A score of emotion is not a reading of inner feeling."""

    label: Annotated[str, Field(description="the most probable class")]
    probabilities: Annotated[dict[str, float], Field(description="of each class, summing to 1")]
    modalities: dict[str, Modality]
    version: Annotated[str, Field(description="sha256 of the model bundle")]


class Problem(BaseModel):
    """Why a request was refused."""

    error: Annotated[str, Field(description="what was found, what was expected, and what to send")]
