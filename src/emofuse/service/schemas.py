"""What the service takes and gives."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from emofuse.core.learnt import Elsewhere, LearntFrom
from emofuse.core.records import CONTEXT_LINES
from emofuse.core.rows import GivenLine, GivenSeconds, GivenSpeaker, Length, Rank
from emofuse.inference.heard import Heard
from emofuse.inference.prediction import ModalityUse, Prediction, Synthetic, TrainedOn
from emofuse.service.encoded import decoded

MOST_LINES = 1000  # of a context
MOST_FACES = 500  # of an answer
File = Annotated[bytes, BeforeValidator(decoded), WithJsonSchema({"type": "string", "format": "base64"})]


class EarlierLine(GivenLine):
    """An utterance that came before in the dialogue."""

    model_config = ConfigDict(extra="forbid", strict=True)


class DialogueContext(BaseModel):
    """Where the utterance stands in its dialogue."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lines: Annotated[
        list[EarlierLine],
        Field(max_length=MOST_LINES, description=f"the lines before it, oldest first; the last {CONTEXT_LINES} count"),
    ] = []
    speaker: Annotated[GivenSpeaker, Field(description="who says it")] = None
    start: Annotated[GivenSeconds, Field(description="seconds in the dialogue")] = None
    end: Annotated[GivenSeconds, Field(description="seconds in the dialogue")] = None
    position: Annotated[
        Rank,
        Field(le=100_000, description="0-based rank in the dialogue; the number of lines where there are any"),
    ] = None
    dialogue_length: Annotated[
        Length, Field(le=100_000, description="utterances in the dialogue; position + 1 where not given")
    ] = None

    @property
    def rank(self) -> int | None:
        """The position, given or counted."""
        return self.position if self.position is not None or not self.lines else len(self.lines)

    @model_validator(mode="after")
    def _consistent(self) -> DialogueContext:
        if self.dialogue_length is not None and self.rank is not None and self.rank >= self.dialogue_length:
            raise ValueError(f"position {self.rank} is not inside a dialogue of {self.dialogue_length} utterances")
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError(f"end {self.end:g} s is before start {self.start:g} s")
        return self


EXAMPLE_CONTEXT: JsonDict = {
    "lines": [{"text": "You got the job!", "speaker": "Ann", "start": 0.0, "end": 1.4}],
    "speaker": "Ben",
    "dialogue_length": 9,
}


class UtteranceRequest(BaseModel):
    """What is known of one utterance beside its files."""

    model_config = ConfigDict(extra="forbid", strict=True)

    utterance: Annotated[str | None, Field(description="what was said")] = None
    context: DialogueContext | None = None
    transcribe: Annotated[
        bool, Field(description="whether the words are heard where there is a sound and no utterance")
    ] = False


class PredictRequest(UtteranceRequest):
    """What is known of one utterance: at least a video, a sound or a text."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"utterance": "I can't believe you did that!", "context": EXAMPLE_CONTEXT}]},
    )

    video: Annotated[File | None, Field(description="a clip's bytes, as base64 or a data URL")] = None
    audio: Annotated[
        File | None,
        Field(description="a sound file's bytes, as base64 or a data URL; goes before the sound of the video"),
    ] = None


class NamedItem(UtteranceRequest):
    """What is known of one utterance of a batch whose files are parts of the same form."""

    video: Annotated[str | None, Field(description="name of the file part that holds the clip")] = None
    audio: Annotated[str | None, Field(description="name of the file part that holds the sound file")] = None


class Face(BaseModel):
    """Where a face was found in a frame; a close-up may reach over the frame's edge."""

    model_config = ConfigDict(allow_inf_nan=False)

    time: Annotated[float, Field(description="seconds in the video, or of the camera's clock")]
    left: Annotated[float, Field(description="of its left edge, as a share of the frame's width")]
    top: Annotated[float, Field(description="of its top edge, as a share of the frame's height")]
    width: Annotated[float, Field(description="as a share of the frame's width")]
    height: Annotated[float, Field(description="as a share of the frame's height")]


Faces = Annotated[
    list[Face],
    Field(
        max_length=MOST_FACES,
        description="of the visual modality: the face that was looked at, in the frames that it was found in",
    ),
]


class SeenPerson(BaseModel):
    """Someone in the picture."""

    model_config = ConfigDict(allow_inf_nan=False)

    speaker: Annotated[bool, Field(description="whether the visual modality looked at this face")]
    speaks: Annotated[float, Field(description="how sure it is that this one speaks, 0 to 1")]
    confidence: Annotated[float, Field(description="that it is a face, on average, 0 to 1")]
    faces: Annotated[list[Face], Field(max_length=MOST_FACES, description="in the frames that it was found in")]


class Modality(ModalityUse):
    """What a modality did for the answer."""

    faces: Faces = Field(default_factory=list)


class PredictResponse(Prediction):
    """The answer. A score of emotion is not a reading of inner feeling."""

    modalities: dict[str, Modality]
    people: Annotated[list[SeenPerson], Field(max_length=MOST_FACES, description="everyone who is seen, as they come")]
    heard: Annotated[
        Heard | None, Field(description="what a recogniser heard, where that was asked for and no text was given")
    ] = None
    seconds: Annotated[
        dict[str, float],
        Field(description="time spent by step, in seconds; steps of a clip are those of its worker process"),
    ]


class Problem(BaseModel):
    """Why a request was refused."""

    error: Annotated[str, Field(description="what was found, what was expected, and what to send")]


class TimelineOptions(BaseModel):
    """How a film is cut. Without either, the lines of the transcript are the windows where there is one."""

    model_config = ConfigDict(extra="forbid", strict=True)

    window: Annotated[float | None, Field(ge=0.5, le=60, description="seconds of a window")] = None
    hop: Annotated[
        float | None, Field(ge=0.5, le=600, description="seconds from one window to the next; the window's length")
    ] = None
    transcribe: Annotated[bool, Field(description="whether the words are heard; spans of speech are the windows")] = (
        False
    )
    speakers: Annotated[
        bool, Field(description="with transcribe: whether to tell who says each line; answers come once all is heard")
    ] = False
    speaker_count: Annotated[
        int | None, Field(ge=1, le=100, description="how many speak, where that is known; as speakers")
    ] = None


class TimelineListening(BaseModel):
    """How far the video was listened to: a line of the stream where all is heard before the first answer."""

    listened: Annotated[float, Field(description="seconds in the video")]


class TimelineAnswer(PredictResponse):
    """The answer for a window; a line of the stream."""

    start: Annotated[float, Field(description="seconds in the video")]
    end: Annotated[float, Field(description="seconds in the video")]
    text: Annotated[str, Field(description="what the transcript says was said, or what was heard")]
    speaker: Annotated[
        str | None, Field(description="who says it: as the transcript says, or told apart by voice; null where unknown")
    ]
    voices: Annotated[
        str | None,
        Field(description="what told voices apart, where that was asked for: a model or hand-made features"),
    ]


class TimelineEnd(BaseModel):
    """The last line of the stream."""

    windows: Annotated[int, Field(description="number of answers")]
    video_seconds: Annotated[float, Field(description="end of the last window, in seconds")]
    seconds: Annotated[float, Field(description="time that it all took, in seconds")]


class LiveOptions(BaseModel):
    """The first message of a live session."""

    model_config = ConfigDict(extra="forbid")

    window: Annotated[float, Field(ge=0.5, le=10, description="seconds that an answer looks back")] = 3.0
    hop: Annotated[float, Field(ge=0.2, le=10, description="seconds from one answer to the next")] = 0.5
    sample_rate: Annotated[int, Field(ge=8000, le=48000, description="of the sound, in Hz")] = 16000
    transcribe: Annotated[bool, Field(description="hear the words, too; they come in messages of their own")] = False
    key: Annotated[str | None, Field(description="the API key, for browsers, which can't send headers here")] = None


class LiveText(BaseModel):
    """What was said; it counts until the next one."""

    model_config = ConfigDict(extra="forbid")

    utterance: str


class LiveAnswer(PredictResponse):
    """The answer for the newest window."""

    time: Annotated[float, Field(description="the newest moment that it looks at, in seconds of the client's clock")]
    latency: Annotated[float, Field(description="seconds from the end of the hop to the answer")]
    dropped: Annotated[int, Field(description="frames so far that came more often than they are looked at")]


class LiveWords(BaseModel):
    """What was heard in the newest window, where that was asked for; its words are at times of the client's clock."""

    time: Annotated[float, Field(description="when the sound ends that was listened to, in seconds of that clock")]
    heard: Heard


class ModelResponse(BaseModel):
    """The model that answers, and what it was measured at."""

    name: str
    version: Annotated[str, Field(description="sha256 of the model bundle")]
    labels: Annotated[list[str], Field(description="the classes, in the order of its probability vectors")]
    modalities: list[str]
    features: Annotated[dict[str, int], Field(description="number of features of each modality")]
    trained_on: TrainedOn
    synthetic: Synthetic
    learnt_from: LearntFrom
    false_alarms: Annotated[
        float | None,
        Field(description="share of held-out training rows that are marked as unfamiliar; null where it can't tell"),
    ]
    metrics: Annotated[
        dict[str, float], Field(description="scores by split of its own data, 0 to 1; empty where unknown")
    ]
    elsewhere: Annotated[list[Elsewhere], Field(description="what it reaches on other data, by `emofuse score`")]
    limits: Annotated[
        dict[str, float | None],
        Field(description="what is refused beyond: bytes, seconds, pixels of a frame, characters of a text, ..."),
    ]
    recogniser: Annotated[str | None, Field(description="who hears words where transcribe is asked for; null: nobody")]
    voices: Annotated[str | None, Field(description="what tells speakers apart; null where nobody hears words")]
    card: Annotated[str | None, Field(description="the model card, as Markdown; null where there is none")]


class BatchResponse(BaseModel):
    """An answer an item, in order; an item that can't be answered has a problem in its place."""

    answers: list[PredictResponse | Problem]
