"""What a model has learnt from and what it reaches, as page, API, command line, card and MLflow say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

UNSAID = "not said"


class PretrainedClassifier(BaseModel):
    """A classifier that was trained elsewhere, of which a model is made."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    modality: Annotated[str, Field(description="that it reads: text, audio or visual")]
    name: Annotated[str, Field(description="on the model hub with its commit, or the folder that it was read from")]
    sha256: Annotated[str, Field(description="of its weights")]
    learnt_from: Annotated[str | None, Field(description="the data that it was trained on; null where nobody said")]
    licence: Annotated[str | None, Field(description="its terms; null where nobody said")]

    @property
    def sentence(self) -> str:
        """What it is, in a line."""
        return f"{self.modality} by {self.name} ({self.learnt_from or UNSAID}; licence: {self.licence or UNSAID})"


class LearntFrom(BaseModel):
    """The data that a model was made from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: Annotated[str | None, Field(description="what it is called; null where nobody has described it")] = None
    synthetic: Annotated[bool, Field(description="whether nobody in it is real: drawn faces, a synthetic voice")] = (
        False
    )
    rows: Annotated[int | None, Field(description="its labelled utterances, of all splits; null where unknown")] = None
    people: Annotated[int | None, Field(description="who say them; null where speakers are not named")] = None
    languages: Annotated[tuple[str, ...] | None, Field(description="that are spoken; null where nobody said")] = None
    licence: Annotated[str | None, Field(description="its terms, which bind the model; null where nobody said")] = None
    protocol: Annotated[str, Field(description="what was trained on and measured on, and what was kept apart")] = UNSAID
    classifiers: Annotated[
        tuple[PretrainedClassifier, ...],
        Field(description="that it is made of, where it was not trained here"),
    ] = ()

    @property
    def sentence(self) -> str:
        """All but the protocol, in a line."""
        if self.classifiers:
            return f"other data, elsewhere: {'; '.join(each.sentence for each in self.classifiers)}"
        if self.corpus is None:
            return "data that nobody has described"
        kind = "synthetic" if self.synthetic else "real"
        rows = f"{UNSAID} how many" if self.rows is None else str(self.rows)
        drawn = " people drawn and voiced by a program" if self.synthetic else " people"
        people = "people who are not named" if self.people is None else f"{self.people}{drawn}"
        languages = f"language {UNSAID}" if self.languages is None else " and ".join(self.languages)
        licence = f"licence {UNSAID}" if self.licence is None else f"licence: {self.licence}"
        return f"{self.corpus}: {rows} {kind} utterances of {people}; {languages}; {licence}"


class Elsewhere(BaseModel):
    """What a model reaches on data that it was not made from, by `emofuse score`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Annotated[str, Field(description="what the user calls it")]
    data_hash: Annotated[str, Field(description="of its rows, labels and clips")]
    rows: Annotated[int, Field(description="that it was measured on")]
    scores: Annotated[dict[str, float | None], Field(description="by metric, 0 to 1")]


class Reached(BaseModel):
    """What a model reaches: no part of it, so that its version stays when it is measured again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Annotated[
        dict[str, dict[str, float]], Field(description="on the splits of its own data: dev, test, then the metric")
    ] = {}
    elsewhere: Annotated[Sequence[Elsewhere], Field(description="on other data, the newest last")] = ()

    def add(self, score: Elsewhere) -> Reached:
        """The same with one more score, in place of an earlier one on the same data."""
        others = [each for each in self.elsewhere if each.data_hash != score.data_hash]
        return self.model_copy(update={"elsewhere": (*others, score)})
