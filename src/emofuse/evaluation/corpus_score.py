"""A finished model on labelled data that it was not made from: what it reaches there, and what it can't."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emofuse.core.device import pick_device
from emofuse.core.errors import DataError
from emofuse.core.learnt import Elsewhere
from emofuse.core.metrics import per_class
from emofuse.core.params import ExtractParams, IngestParams, Params, TextParams
from emofuse.core.records import FeatureTable
from emofuse.core.tables import utterances
from emofuse.evaluation.measured import Measured, standings
from emofuse.evaluation.met_before import met_before
from emofuse.evaluation.subject import Subject
from emofuse.extraction.content import clip_content, text_content
from emofuse.extraction.run import Task, extract_rows
from emofuse.features.registry import make_extractor
from emofuse.fusion.names import MAJORITY
from emofuse.fusion.trained_model import Bundle
from emofuse.inference.predictor import Predictor


@dataclass(frozen=True)
class CorpusScore:
    """What a model reaches on a corpus.

    Attributes:
        model: its name.
        version: its bundle's hash.
        data: what the user called the corpus.
        data_hash: of the corpus's rows, their labels and their clips.
        rows: that it was measured on.
        groups: of those rows, that intervals are drawn by.
        drawn: what these are, in the plural.
        unknown: rows of each class that the model doesn't know; they are left out, since it can't be right there.
        unused: classes that the model may answer and no row has.
        scores: of the model, and of the commonest class there for every row: metric, then `value`, `low`, `high`.
        classes: precision, recall, F1 and support of each class.
        home: the metrics that it reached on the test split of its own data; empty where that isn't known.
        met_before: of its pretrained encoders those that are known to have learnt from this corpus, a sentence each.
    """

    model: str
    version: str
    data: str
    data_hash: str
    rows: int
    groups: int
    drawn: str
    unknown: dict[str, int]
    unused: list[str]
    scores: dict[str, dict[str, dict[str, float | None]]]
    classes: list[dict[str, Any]]
    home: dict[str, float]
    met_before: list[str]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return asdict(self)

    @property
    def elsewhere(self) -> Elsewhere:
        """The part that is told with the model."""
        reached = {metric: each["value"] for metric, each in self.scores[self.model].items()}
        return Elsewhere(data=self.data, data_hash=self.data_hash, rows=self.rows, scores=reached)

    def notes(self) -> list[str]:
        """What to know before believing the figures, a sentence each."""
        notes = list(self.met_before)
        if self.unknown:
            listed = ", ".join(f"{label} ({count})" for label, count in self.unknown.items())
            notes.append(
                f"{self.data}: {sum(self.unknown.values())} rows left out, of classes that {self.model} doesn't know: "
                f"{listed}; map them with --map {next(iter(self.unknown))}=CLASS"
            )
        if self.unused:
            notes.append(f"{self.data}: no row is labelled {', '.join(self.unused)}; to answer so is a mistake there")
        return notes


def score_corpus(
    predictor: Predictor,
    manifest: pd.DataFrame,
    ingest: IngestParams,
    data: str,
    params: Params,
    home: Mapping[str, float],
) -> CorpusScore:
    """Measure a model on every labelled row of a corpus, whatever split it stands in.

    Args:
        predictor: the model.
        manifest: of the corpus, whole dialogues, numbered from 0.
        ingest: how the corpus was read.
        data: what to call it.
        params: how to extract and to draw intervals.
        home: what the model reached at home.

    Raises:
        DataError: no row has a label that the model knows.
    """
    bundle = predictor.bundle
    answerable = manifest["label"].isin(bundle.labels).to_numpy()
    strange = manifest.loc[~answerable & manifest["label"].notna(), "label"]
    if not answerable.any():
        raise DataError(
            f"{data}: found the labels {', '.join(sorted(set(strange))) or 'of no row'}, expected any of "
            f"{', '.join(bundle.labels)}, which {bundle.name} knows; map them with --map LABEL=CLASS"
        )
    subject = Subject(predictor, manifest, extract_features(bundle, manifest, ingest.root, params.extract))
    rows = manifest[answerable].reset_index(drop=True)
    commonest = rows["label"].mode()[0]
    answers = {
        bundle.name: subject.answer_all()[answerable],
        MAJORITY: np.tile([float(label == commonest) for label in bundle.labels], (len(rows), 1)),
    }
    named = {f"{m}.{name}": value for m, section in bundle.extractors.items() for name, value in section}
    measured = Measured(rows, bundle.labels, answers, params.evaluate.resamples, params.seed)
    predicted = [bundle.labels[answer] for answer in measured.predicted(bundle.name)]
    return CorpusScore(
        model=bundle.name,
        version=bundle.version,
        data=data,
        data_hash=_hash(rows),
        rows=len(rows),
        groups=measured.bootstrap.groups,
        drawn=measured.drawn,
        unknown=dict(sorted(Counter(strange).items())),
        unused=[label for label in bundle.labels if label not in set(rows["label"])],
        scores=standings(measured),
        classes=per_class(rows["label"].tolist(), predicted, bundle.labels).to_dict("records"),
        home=dict(home),
        met_before=list(met_before(named, ingest.layout, data, params.evaluate.met_before)),
    )


def extract_features(bundle: Bundle, manifest: pd.DataFrame, root: Path, run: ExtractParams) -> dict[str, FeatureTable]:
    """The features that a bundle reads of each row, over the cache and the cores that `run` names."""
    asked = utterances(manifest, root)
    tables = {}
    for modality, names in bundle.features.items():
        params = bundle.extractors[modality]
        content = partial(text_content, params) if isinstance(params, TextParams) else clip_content
        # What fine-tuned encoders and places in dialogues give depends on more than what the cache knows.
        cached = modality != "metadata" and bundle.finetuned is None
        make = partial(make_extractor, params, pick_device(), bundle.finetuned, bundle.assets)
        task = Task(modality, params, make, content if cached else None)
        tables[modality] = FeatureTable.stack(names, extract_rows(task, asked, run))
    return tables


def _hash(rows: pd.DataFrame) -> str:
    content = rows[["split", "dialogue", "utterance", "label", "text", "clip_sha256"]].to_json(orient="values")
    return hashlib.sha256(content.encode()).hexdigest()
