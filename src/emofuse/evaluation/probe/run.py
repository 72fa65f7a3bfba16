"""What groups of features carry: simple classifiers on them, measured on dialogues or speakers that are new to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from emofuse.core.errors import DataError
from emofuse.core.metrics import METRICS
from emofuse.core.params import AudioParams, ExtractorParams, VisualParams
from emofuse.core.progress import progress
from emofuse.core.records import FeatureTable, Utterance
from emofuse.evaluation.uncertainty import Bootstrap, Estimate
from emofuse.features.registry import feature_groups, make_extractor
from emofuse.training.folds import FoldRows, grouped_folds

TIMED = 40  # utterances over which a row's cost is taken
# By the number of rows that they are fitted on. Held back well, since features often outnumber rows; the linear ones
# against the mean loss, so that they are held back alike whatever the number.
CLASSIFIERS: dict[str, Callable[[int], object]] = {
    "logistic": lambda rows: LogisticRegression(C=5 / rows, max_iter=300),
    "linear_svm": lambda rows: LinearSVC(C=0.5 / rows),
    "rbf_svm": lambda rows: SVC(C=5),
    "majority": lambda rows: DummyClassifier(),
}
ALL = "all"
RESAMPLES = 2000
SCORES = ("accuracy", "unweighted_recall", "weighted_f1")  # of `METRICS`, as the table shows them
Strings = NDArray[np.str_]


@dataclass(frozen=True)
class Labelled:
    """n labelled utterances.

    Attributes:
        utterances: what the extractor sees.
        labels: the class of each.
        groups: the dialogue or speaker of each, whose rows are never on both sides of a fold.
        scored: bool of shape (n,): the rows that are scored, the others being fitted on; None for folds.
    """

    utterances: Sequence[Utterance]
    labels: Strings
    groups: Strings
    scored: NDArray[np.bool_] | None = None

    def take(self, rows: NDArray[np.bool_]) -> Labelled:
        """The chosen rows."""
        utterances = [utterance for utterance, kept in zip(self.utterances, rows, strict=True) if kept]
        return Labelled(
            utterances, self.labels[rows], self.groups[rows], None if self.scored is None else self.scored[rows]
        )


@dataclass(frozen=True)
class ProbeRow:
    """One row of the table.

    Attributes:
        features: `all`, a group, or `all but` a group.
        classifier: of `CLASSIFIERS`, or `majority`.
        columns: how many they are.
        cost: milliseconds of processor time an utterance, decoding included; None where nothing is extracted.
        scores: of `SCORES`, each with its 95% interval.
        gains: the scores less those of all groups; empty for the majority class and all groups themselves.
    """

    features: str
    classifier: str
    columns: int
    cost: float | None
    scores: Mapping[str, Mapping[str, float | None]]
    gains: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class Probe:
    """The table, the majority class first; how many utterances are scored, fitted on alone, and without features."""

    rows: Sequence[ProbeRow]
    scored: int
    fitted: int
    absent: int


def probe(params: ExtractorParams, data: Labelled, classifiers: Sequence[str], folds: int, seed: int) -> Probe:
    """Score all groups of `params` together, each alone, and all but each.

    A feature that is unknown counts as the mean, as in the pipeline. Utterances without features are left out.

    Args:
        params: of the extractor, with the groups.
        data: n labelled utterances.
        classifiers: of `CLASSIFIERS`.
        folds: how many, stratified by class; 0 leaves one dialogue or speaker out at a time.
        seed: decides folds and draws.

    Raises:
        DataError: nothing can be extracted, or there are fewer dialogues or speakers than folds.
    """
    if isinstance(params, VisualParams):
        from emofuse.features.visual.detectors import as_installed

        params = as_installed(params)
    extractor = make_extractor(params)
    extractor.warm_up()
    rows_extracted = progress(extractor.extract(data.utterances), "extract", len(data.utterances), "utterance")
    table = FeatureTable.stack(extractor.names, list(rows_extracted))
    if not table.present.any():
        raise DataError(f"none of {len(table.present)} utterances has features; the first: {table.reasons[0]}")
    data, values = data.take(table.present), table.values[table.present]
    parts = _folds(data, folds, seed)
    scored = np.sort(np.concatenate([held_out for _, held_out in parts]))
    labels, codes = np.unique(data.labels, return_inverse=True)
    bootstrap = Bootstrap(data.groups[scored], RESAMPLES, seed)

    def measured(answers: Strings) -> Estimate:
        """The scores of answers to the held-out rows."""
        return bootstrap.scores(codes[scored], np.searchsorted(labels, answers), len(labels))

    majority = measured(_answers("majority", values, data.labels, parts)[scored])
    rows = [ProbeRow("majority class", "majority", 0, None, _as_json(majority), {})]

    where = {group.name: [table.names.index(name) for name in group.columns] for group in feature_groups(params)}
    choices = dict(_choices(list(where)))
    costs = _costs(params, choices, data.utterances)
    for classifier in classifiers:
        whole: Estimate | None = None
        for name, chosen in progress(choices.items(), classifier, len(choices), "row"):
            columns = [column for group in chosen for column in where[group]]
            score = measured(_answers(classifier, values[:, columns], data.labels, parts)[scored])
            gains = {} if whole is None else _as_json(score - whole)
            whole = score if whole is None else whole
            rows.append(ProbeRow(name, classifier, len(columns), costs[name], _as_json(score), gains))
    return Probe(rows, len(scored), len(data.labels) - len(scored), int((~table.present).sum()))


def _as_json(estimate: Estimate) -> dict[str, dict[str, float | None]]:
    return {name: estimate.to_json(METRICS.index(name)) for name in SCORES}


def _choices(groups: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The rows' names and groups: all, each alone, and where that makes a difference all but each."""
    yield ALL, list(groups)
    if len(groups) > 1:
        yield from ((group, [group]) for group in groups)
    if len(groups) > 2:
        yield from ((f"{ALL} but {left}", [group for group in groups if group != left]) for left in groups)


def _folds(data: Labelled, folds: int, seed: int) -> Sequence[FoldRows]:
    """The rows that are fitted on and those that are held out, a fold."""
    if data.scored is not None:
        return [(np.flatnonzero(~data.scored), np.flatnonzero(data.scored))]
    count = len(np.unique(data.groups))
    if count < max(folds, 2):
        raise DataError(f"found {count} dialogues or speakers, expected {max(folds, 2)} or more; take fewer folds")
    if folds:
        return list(grouped_folds(data.labels.tolist(), data.groups.tolist(), folds, seed))
    return list(LeaveOneGroupOut().split(data.labels, data.labels, data.groups))


def _answers(classifier: str, values: NDArray[np.float32], labels: Strings, parts: Sequence[FoldRows]) -> Strings:
    """What a classifier answers to each held-out row, fitted without its fold; the labels of rows never held out."""
    answers = labels.copy()
    for fit, held_out in parts:
        fitted = CLASSIFIERS[classifier](len(fit))
        filled = SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True)
        scaled = make_pipeline(StandardScaler(), filled, fitted)
        with np.errstate(invalid="ignore"):  # a feature that no row has, such as motion in stills, has no mean
            answers[held_out] = scaled.fit(values[fit].astype(np.float64), labels[fit]).predict(values[held_out])
    return answers


def _costs(
    params: ExtractorParams, choices: Mapping[str, Sequence[str]], utterances: Sequence[Utterance]
) -> dict[str, float]:
    """Milliseconds of processor time an utterance of each choice of groups, once its extractor is warm."""
    sample = utterances[:: max(1, len(utterances) // TIMED)][:TIMED]
    costs = {}
    for name, chosen in progress(choices.items(), "time", len(choices), "row"):
        extractor = make_extractor(_only(params, chosen))
        extractor.warm_up()
        began = time.process_time()
        for _ in extractor.extract(sample):
            pass
        costs[name] = 1000 * (time.process_time() - began) / len(sample)
    return costs


def _only(params: ExtractorParams, groups: Sequence[str]) -> ExtractorParams:
    """The params with some groups alone, and without an encoder of sounds or faces where none of them is its."""
    own = [name for name in groups if name in params.groups]
    apart = isinstance(params, AudioParams | VisualParams) and len(own) == len(groups)
    return params.model_copy(update={"groups": own, **({"encoder": "none"} if apart else {})})
