"""The answer for one utterance: the one description of it, for the command line, MLflow and the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

NOTHING = "nothing to answer from"  # no modality is present: what is left is the model's habit
Probabilities = Annotated[dict[str, float], Field(description="of each class, 0 to 1, summing to 1")]

TrainedOn = Annotated[str, Field(description="what the model has learnt from, in a line; /model tells more")]
Synthetic = Annotated[bool, Field(description="whether nobody that it has learnt from is real")]


class ModalityUse(BaseModel):
    """What a modality did for the answer."""

    model_config = ConfigDict(frozen=True)

    present: bool
    reason: Annotated[str, Field(description="why it is absent; empty where present")]
    weight: Annotated[float, Field(description="its share of the answer, 0 to 1")]
    unfamiliar: Annotated[
        bool | None,
        Field(
            description="whether it is farther from what the model was trained on than held-out rows are; null where "
            "the model can't tell"
        ),
    ] = None
    probabilities: Annotated[
        Probabilities | None, Field(description="what the model answers from it alone; null where it is absent")
    ] = None


class Prediction(BaseModel):
    """The answer for one utterance; probabilities are in the order of the bundle's labels."""

    model_config = ConfigDict(frozen=True)

    label: Annotated[str, Field(description="the most probable class")]
    probabilities: Probabilities
    uncertain: Annotated[
        bool,
        Field(
            description="whether the best class is less probable than the model's threshold, or no modality is present"
        ),
    ]
    unfamiliar: Annotated[
        bool | None,
        Field(description="whether any modality is unlike what the model was trained on; null where it can't tell"),
    ] = None
    note: Annotated[str, Field(description=f"'{NOTHING}' where no modality is present, else empty")] = ""
    modalities: Mapping[str, ModalityUse]
    trained_on: TrainedOn
    synthetic: Synthetic
    version: Annotated[str, Field(description="sha256 of the model bundle")]

    def to_json(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return self.model_dump(mode="json")

    def to_row(self) -> dict[str, Any]:
        """The answer as a row of a table: `label`, and `p_<class>` a class."""
        return {"label": self.label, **{f"p_{name}": share for name, share in self.probabilities.items()}}
