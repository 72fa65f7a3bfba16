"""The typed schema of params.yaml.

Every stage loads the whole file, so that a mistake in any section stops the run before anything is computed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from emofuse.core.errors import ParamsError, guard, listed
from emofuse.core.layouts import LAYOUTS, WITH_SETS
from emofuse.core.numerics import Mode
from emofuse.core.records import CONTEXT_LINES
from emofuse.core.text import normal_label

PARAMS_FILE = Path("params.yaml")
PACKAGED = Path(__file__).parents[1] / "params.yaml"  # the same, as it came with the package
EMBEDDED = "embedded"  # the name of an encoder that comes in a package
Metric = Literal["accuracy", "weighted_f1", "macro_f1", "unweighted_recall"]
Apart = Literal["auto", "dialogue", "speaker", "both", "row"]
ACTIVITY_RATE = 16000  # Hz: of sounds in which voice activity is looked for
Leak = Literal["text", "clip", "time", "sound"]
RUNTIME = frozenset({"extract", "serve"})  # how stages and the service are run, which changes no result

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of params.yaml: unknown keys and out-of-range values are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Group = TypeVar("Group", bound=str)


def _once(groups: list[Group]) -> list[Group]:
    """Groups in one order, whatever that in the file: it is no part of an extractor's identity."""
    if len(set(groups)) < len(groups):
        raise ValueError("each group may be named once")
    return sorted(groups)


TextGroup = Literal["embedding", "cues", "classes"]
Pooling = Literal["mean", "max", "cls"]
AudioGroup = Literal[
    "activity",
    "zcr",
    "centroid",
    "mfcc",
    "mfcc_speech",
    "mfcc_delta",
    "rolloff",
    "flatness",
    "flux",
    "contrast",
    "tilt",
    "rms",
    "f0",
    "voice",
    "rate",
]
MetadataGroup = Literal["duration", "position", "dialogue", "pause", "overlap", "change", "turn", "share"]
VisualGroup = Literal["pixels", "edges", "hog", "mouth", "lbp", "gabor", "motion"]


def _normal(labels: dict[str, str | None]) -> dict[str, str | None]:
    """Labels and what they become, in the form in which they are compared."""
    normal: dict[str, str | None] = {}
    for name, wanted in labels.items():
        label, target = normal_label(name), normal_label(wanted or "") or None
        if normal.setdefault(label, target) != target:
            raise ValueError(f"the label {label!r} stands twice, with several targets; keep one")
    return normal


LabelMap = Annotated[dict[str, str | None], AfterValidator(_normal)]


class CorpusParams(Section):
    """Size of the built-in corpus."""

    dialogues: Positive
    utterances: Positive


class ShareParams(Section):
    """Shares of the training rows that are cut for splits that the data doesn't have."""

    dev: Annotated[float, Field(gt=0, lt=0.5)]
    test: Annotated[float, Field(gt=0, lt=0.5)]


class TableParams(Section):
    """The file of `ingest.layout: table`, and which of its columns holds what; null where none does."""

    file: str
    media: str | None
    text: str | None
    label: str | None
    dialogue: str | None
    position: str | None
    speaker: str | None
    start: str | None
    end: str | None
    split: str | None


class AboutParams(Section):
    """What a model that learns from the data says of it; null for what is known of the layout, or else of nothing."""

    name: str | None
    licence: str | None
    languages: Annotated[list[str], Field(min_length=1)] | None


class IngestParams(Section):
    """Where the data is, how it is laid out and what is made of its labels."""

    layout: str
    root: Path
    about: AboutParams
    set: str | None
    apart: Apart
    shares: ShareParams
    labels: LabelMap
    drop_leaks: list[Leak]
    id: str | None
    table: TableParams

    @field_validator("layout")
    @classmethod
    def _is_a_layout(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            raise ValueError(f"expected one of {', '.join(LAYOUTS)}")
        return layout

    @field_validator("set")
    @classmethod
    def _has_sets(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.data.get("layout") not in WITH_SETS:
            raise ValueError(f"only the layouts {', '.join(WITH_SETS)} have sets by name; set it to null")
        return name


class FinetuneParams(Section):
    """Training of the encoder end to end on the labels."""

    epochs: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    batch_size: Annotated[int, Field(ge=2)]
    previous: Annotated[int, Field(ge=0, le=CONTEXT_LINES)]
    precision: Literal["fp32", "bf16"]


class TextParams(Section):
    """Sentence embedding by a pretrained transformer, and surface cues."""

    groups: Annotated[list[TextGroup], Field(min_length=1), AfterValidator(_once)]
    encoder: str
    source: Literal["clean", "raw"]
    layers: Literal["all"] | Annotated[list[int], Field(min_length=1)]
    combine: Literal["concat", "average"]
    pooling: Annotated[list[Pooling], Field(min_length=1), AfterValidator(_once)]
    max_tokens: Annotated[int, Field(ge=8, le=512)]
    precision: Literal["fp32", "bf16"]
    transcribe: Literal["never", "missing", "always"]
    recogniser: str | None
    language: str | None
    finetune: FinetuneParams

    @model_validator(mode="after")
    def _heard_by_someone(self) -> TextParams:
        if self.transcribe == "always" and self.recogniser is None:
            raise ValueError("transcribe is always, but recogniser is null; name one, or set transcribe to missing")
        return self


def _some(groups: list[Group], info: ValidationInfo) -> list[Group]:
    """Groups, of which there may be none where an encoder, which stands before them, gives columns."""
    if not groups and info.data.get("encoder") == "none":
        raise ValueError("name at least one, or an encoder")
    return groups


class VisualParams(Section):
    """Face detection, and what is measured on the face; without `layers` an encoder gives its own classes alone."""

    encoder: str
    groups: Annotated[list[VisualGroup], AfterValidator(_once), AfterValidator(_some)]
    detector: Literal["centerface", "haar"]
    fps: Annotated[float, Field(gt=0, le=120)]
    width: Annotated[int, Field(ge=64)]
    min_neighbors: Annotated[int, Field(ge=1)]
    min_face: Annotated[float, Field(gt=0, lt=1)]
    encoder_frames: Positive
    layers: Literal["all"] | list[int]
    pooling: Annotated[list[Literal["mean", "max"]], Field(min_length=1), AfterValidator(_once)]
    precision: Literal["fp32", "bf16"]


FACE_SHARE = "face_share"  # the column that says in how many of the frames there is a face


def share_column(detector: str) -> str:
    """The column that says in how many of the frames a detector sees a face.

    Features tell by its name who found the faces: another detector's must not be answered from.
    """
    return FACE_SHARE if detector == "centerface" else f"{FACE_SHARE}_{detector}"


def as_extracted(params: ExtractorParams, columns: Sequence[str]) -> ExtractorParams:
    """The params by which features of these columns came about, where the detector asked for was not at hand."""
    if isinstance(params, VisualParams) and share_column("haar") in columns:
        return params.model_copy(update={"detector": "haar"})
    return params


class AudioParams(Section):
    """Spectrum, pitch, voice and rate of the sound, and what an encoder makes of it; as in `VisualParams`."""

    encoder: str
    groups: Annotated[list[AudioGroup], AfterValidator(_once), AfterValidator(_some)]
    sample_rate: Annotated[int, Field(ge=8000, le=48000)]
    n_mfcc: Annotated[int, Field(ge=1, le=40)]
    layers: Literal["all"] | list[int]
    combine: Literal["concat", "average"]
    pooling: Annotated[list[Literal["loud", "mean", "std"]], Field(min_length=1), AfterValidator(_once)]
    precision: Literal["fp32", "bf16"]

    @model_validator(mode="after")
    def _heard_at_its_rate(self) -> AudioParams:
        if "activity" in self.groups and self.sample_rate != ACTIVITY_RATE:
            raise ValueError(
                f"groups names activity, which hears {ACTIVITY_RATE} Hz, but sample_rate is {self.sample_rate}; "
                "set it so, or leave the group out"
            )
        return self


class MetadataParams(Section):
    """The utterance's place in its dialogue."""

    groups: Annotated[list[MetadataGroup], Field(min_length=1), AfterValidator(_once)]


ExtractorParams = TextParams | AudioParams | VisualParams | MetadataParams
EXTRACTOR_PARAMS: dict[str, type[ExtractorParams]] = {
    "text": TextParams,
    "audio": AudioParams,
    "visual": VisualParams,
    "metadata": MetadataParams,
}


class PretrainedParams(Section):
    """Classifiers that answer without training, and what their labels are called in the data."""

    text: str | None
    audio: str | None
    visual: str | None
    labels: LabelMap
    weights: dict[str, Annotated[float, Field(ge=0)]] | None

    @property
    def named(self) -> dict[str, str]:
        """The classifier of each modality that has one."""
        names = {"text": self.text, "audio": self.audio, "visual": self.visual}
        return {modality: name for modality, name in names.items() if name is not None}

    @model_validator(mode="after")
    def _weighed(self) -> PretrainedParams:
        if self.weights is not None and (set(self.weights) != set(self.named) or not any(self.weights.values())):
            raise ValueError(
                f"weights names {', '.join(self.weights) or 'nothing'}, but there are classifiers of "
                f"{', '.join(self.named) or 'nothing'}; weigh each of these, one above 0, or set weights to null"
            )
        return self


class ExtractParams(Section):
    """How extraction is run; it never changes what is extracted, so no stage depends on it."""

    engine: Literal["processes", "ray"]
    workers: Positive | None
    ray_address: str | None
    clips: str | None
    seconds: Annotated[float, Field(gt=0)]
    cache: Path
    cache_gb: Annotated[float, Field(gt=0)]


class ScaleParams(Section):
    """Z-scores of each modality, and projections of wide feature groups."""

    projection: dict[VisualGroup, Positive]
    clip: Annotated[float, Field(gt=0)]


class HeadParams(Section):
    """Widths of a classifier's hidden layers."""

    hidden: list[Positive]


class AttentionParams(Section):
    """The transformer over modalities and over the lines of a dialogue."""

    width: Positive
    heads: Positive
    layers: Positive
    context: Literal["causal", "both", "none"]
    window: Annotated[int, Field(ge=1, le=CONTEXT_LINES)]
    context_dropout: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _divisible(self) -> AttentionParams:
        if self.width % self.heads:
            raise ValueError(f"expected a width that heads = {self.heads} divides")
        return self


class TrainParams(Section):
    """Cross-validated training, shared by all models."""

    folds: Annotated[int, Field(ge=2)] | Literal["speaker"]
    seeds: Positive
    epochs: Positive
    steps: Positive
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    averaging: Share
    dropout: Annotated[float, Field(ge=0, lt=1)]
    class_weight: Share
    focal_gamma: Annotated[float, Field(ge=0)]
    logit_adjustment: Annotated[float, Field(ge=0)]
    balanced_sampling: Share
    mixup: Share
    noise: Annotated[float, Field(ge=0)]
    modality_dropout: Annotated[float, Field(ge=0, lt=1)]
    abstain: Annotated[float, Field(ge=0, lt=1)]
    early: HeadParams
    late: HeadParams
    attention: AttentionParams


class EvaluateParams(Section):
    """How the champion is chosen, and scores are looked at; it changes no model and no score."""

    champion_metric: Metric
    met_before: dict[str, list[str]]
    resamples: Annotated[int, Field(ge=100)]
    slice_rows: Positive


class ServeParams(Section):
    """Limits of the service."""

    bytes: Positive
    json_bytes: Positive
    seconds: Annotated[float, Field(gt=0, le=600)]
    pixels: Positive
    frames: Positive
    streams: Positive
    text: Positive
    items: Positive
    concurrent: Positive
    request_seconds: Annotated[float, Field(gt=0)]
    upload_speed: Positive
    timelines: Positive
    timeline_bytes: Positive
    timeline_seconds: Annotated[float, Field(gt=0)]
    timeline_upload_seconds: Annotated[float, Field(gt=0)]
    timeline_window: Annotated[float, Field(gt=0)]
    timeline_overlap: Annotated[float, Field(ge=1)]
    timeline_lines: Positive
    lives: Positive
    live_bytes: Positive
    live_window_bytes: Positive
    rate: Annotated[float, Field(gt=0)]
    rate_burst: Positive
    queue_seconds: Annotated[float, Field(gt=0)]
    media_seconds: Annotated[float, Field(gt=0)]
    worker_mb: Positive
    workers: Positive | None
    batch: Positive
    recogniser: str | None
    language: str | None
    speakers: str | None
    listeners: Positive
    listen_seconds: Annotated[float, Field(gt=0)]
    heard_seconds: Annotated[float, Field(gt=0)]


class RangeSpace(Section):
    """A range that a search draws from."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _rising(self) -> RangeSpace:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("expected low below high, and above 0 where log is true")
        return self

    @property
    def most(self) -> float:
        """The greatest number in it."""
        return self.high


class ChoiceSpace(Section):
    """Values that a search chooses from."""

    choices: Annotated[list[Any], Field(min_length=1)]

    @property
    def most(self) -> float:
        """The greatest number among them."""
        return max((choice for choice in self.choices if isinstance(choice, int | float)), default=0)


def _space_kind(space: Any) -> str:
    """Which of the two is meant, so that a mistake in one is not told as one in the other too."""
    return "choices" if isinstance(space, ChoiceSpace) or (isinstance(space, dict) and "choices" in space) else "range"


Space = Annotated[
    Annotated[RangeSpace, Tag("range")] | Annotated[ChoiceSpace, Tag("choices")], Discriminator(_space_kind)
]


class TuneParams(Section):
    """Search over training params: of which model, how many trials, in which space (dotted keys below `train`)."""

    model: Literal["early", "late", "attention"]
    trials: Annotated[int, Field(ge=0)]
    space: dict[str, Space]


class Params(Section):
    """All of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    numerics: Mode
    corpus: CorpusParams
    ingest: IngestParams
    extract: ExtractParams
    text: TextParams
    visual: VisualParams
    audio: AudioParams
    metadata: MetadataParams
    scale: ScaleParams
    train: TrainParams
    pretrained: PretrainedParams
    evaluate: EvaluateParams
    serve: ServeParams
    tune: TuneParams

    @model_validator(mode="after")
    def _same_bytes(self) -> Params:
        """Refuse what can't give the same bytes on every machine."""
        finetune = self.text.finetune
        asked = [
            ("text.precision", self.text.precision),
            ("audio.precision", self.audio.precision),
            ("visual.precision", self.visual.precision),
            ("text.finetune.precision", finetune.epochs and finetune.precision),
        ]
        rounded = [name for name, precision in asked if precision == "bf16"]
        if self.numerics == "portable" and rounded:
            raise ValueError(
                f"{' and '.join(rounded)} is bf16, which processors round in their own ways; "
                "set it to fp32, or numerics to native"
            )
        return self

    @model_validator(mode="after")
    def _within_context(self) -> Params:
        """Refuse to look further back than a service is sent: it would answer otherwise than the evaluation."""
        attention, finetune = self.train.attention, self.text.finetune
        searched = self.tune.space.get("attention.window") if self.tune.trials else None
        window = max(attention.window, searched.most if searched else 0)
        if attention.context != "none" and finetune.epochs and window + finetune.previous > CONTEXT_LINES:
            raise ValueError(
                f"train.attention.window = {window:g} and text.finetune.previous = {finetune.previous} look "
                f"{window + finetune.previous:g} lines back, expected at most {CONTEXT_LINES} in all; lower one"
            )
        return self

    def extractor(self, modality: str) -> ExtractorParams:
        """The section of a modality's extractor."""
        section: ExtractorParams = getattr(self, modality)
        return section

    def classifiers(self) -> dict[str, ExtractorParams]:
        """How the classes of those that `pretrained` names are extracted: alone, of the words as they are."""
        alone: dict[str, dict[str, Any]] = {
            "text": {"groups": ["classes"], "source": "raw"},
            "audio": {"groups": [], "layers": []},
            "visual": {"groups": [], "layers": []},
        }
        return {
            modality: self.extractor(modality).model_copy(update=alone[modality] | {"encoder": name})
            for modality, name in self.pretrained.named.items()
        }

    def of_results(self) -> dict[str, Any]:
        """All that a model or its scores may depend on, flat; a search has results of its own."""
        return flat(self.model_dump(mode="json", exclude={*RUNTIME, "tune"}))


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate params.yaml.

    Raises:
        ParamsError: the file is missing, is no YAML mapping, or holds mistakes; all mistakes are named at once.
    """
    return check_params(read_sections(path), str(path))


def params_at_hand() -> Params:
    """The params of the working folder; where it holds none, those that came with the package.

    Raises:
        ParamsError: as `load_params`.
    """
    return load_params(PARAMS_FILE if PARAMS_FILE.exists() else PACKAGED)


def read_sections(path: Path) -> dict[str, Any]:
    """Read a file of params, as it stands.

    Raises:
        ParamsError: the file is missing or is no YAML mapping.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the folder that holds params.yaml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not readable as YAML: {error}") from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: found {type(raw).__name__}, expected a mapping of sections")
    return raw


def check_params(sections: dict[str, Any], name: str) -> Params:
    """Validate params that stand under a name.

    Raises:
        ParamsError: they hold mistakes; all are named at once.
    """
    try:
        return Params.model_validate(sections)
    except ValidationError as error:
        problems = _problems(error.errors(), sections)
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        raise ParamsError(f"{name}: {count}; nothing was run\n{listed(problems)}") from None


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params with dotted names."""
    result: dict[str, Any] = {}
    for key, value in params.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return result


def _problems(details: Sequence[ErrorDetails], raw: Mapping[str, Any]) -> list[str]:
    """What is wrong, a line a key: what each branch of a union says of its value is one mistake."""
    problems: dict[str, str] = {}
    for detail in details:
        where, message = ".".join(_keys(detail, raw)), f"{detail['msg'][0].lower()}{detail['msg'][1:]}"
        if not where:  # of several sections at once
            problems[str(detail["ctx"]["error"])] = str(detail["ctx"]["error"])
        elif detail["type"] == "missing":
            problems[where] = f"{where}: missing; add the key"
        elif detail["type"] == "extra_forbidden":
            problems[where] = f"{where}: unknown key; remove it or mend its spelling"
        elif where in problems:
            problems[where] += f"; or {message}"
        else:
            problems[where] = f"{where}: found {detail['input']!r}; {message}"
    return list(problems.values())


def _keys(detail: ErrorDetails, raw: Any) -> Iterator[str]:
    """The parts of a location that are keys of the file or places of a list: pydantic names branches of unions too."""
    for part in detail["loc"]:
        keyed = (isinstance(raw, dict) and part in raw) or (isinstance(raw, list) and isinstance(part, int))
        if keyed:
            raw = raw[part]
            yield str(part)
    if detail["type"] == "missing":
        yield str(detail["loc"][-1])


if __name__ == "__main__":
    with guard():
        load_params(Path(sys.argv[1]) if len(sys.argv) > 1 else PARAMS_FILE)
