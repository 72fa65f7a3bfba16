"""Every model on dev and test, beside the majority class; the best on dev is the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emofuse.core.apart import group_keys
from emofuse.core.metrics import majority_probabilities, per_class, summary, worded
from emofuse.core.params import EvaluateParams, Metric
from emofuse.core.records import KEY, SPLITS
from emofuse.core.tables import label_order, training_rows
from emofuse.evaluation.findings import findings
from emofuse.evaluation.measured import Measured
from emofuse.evaluation.subject import Tables, together
from emofuse.fusion.names import MAJORITY
from emofuse.inference.predictor import Predictor

SHOWN: tuple[Metric, ...] = ("weighted_f1", "accuracy", "unweighted_recall")  # in the table


@dataclass(frozen=True)
class Scores:
    """What models, and the majority class beside them, answer for rows that none was trained on.

    Attributes:
        labels: the classes, in the order of the probabilities.
        rows: n rows of the manifest, numbered from 0.
        probabilities: of each model, shape (n, classes).
        metric: by which dev chooses the champion.
        unfamiliar: of each model that can tell, which rows are unlike what it was trained on, bool of shape (n,).
    """

    labels: Sequence[str]
    rows: pd.DataFrame
    probabilities: Mapping[str, NDArray[np.float64]]
    metric: Metric
    unfamiliar: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """A row a model and utterance: key, group, label, the answer, and the probability of each class."""
        return pd.concat([self._predictions(name) for name in self.probabilities], ignore_index=True)

    @cached_property
    def metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        """The metrics of each model on each split."""
        return {
            str(name): {str(split): summary(part["label"], part["predicted"]) for split, part in model.groupby("split")}
            for name, model in self._labelled.groupby("model")
        }

    @property
    def champion(self) -> str:
        """The best model on dev, the first of equals."""
        models = [name for name in self.probabilities if name != MAJORITY]
        return max(models, key=lambda name: self.metrics[name]["dev"][self.metric])

    def classes(self) -> pd.DataFrame:
        """Precision, recall and F1 of each class, a row a model, split and class."""
        # A class that stands in no training row is never answered, and its rows count as mistakes.
        classes = sorted({*self.labels, *self._labelled["label"]})
        parts = [
            per_class(part["label"], part["predicted"], classes).assign(model=model, split=split)
            for (model, split), part in self._labelled.groupby(["model", "split"], sort=False)
        ]
        return pd.concat(parts)[["model", "split", "label", "precision", "recall", "f1", "support"]]

    def measured(self, params: EvaluateParams, seed: int) -> dict[str, Measured]:
        """The labelled rows of dev and of test, each of which `ingest` has seen to have some."""
        labelled = self.rows["split"].isin(SPLITS) & self.rows["label"].notna()
        classes = sorted({*self.labels, *self.rows.loc[labelled, "label"]})
        columns = [classes.index(label) for label in self.labels]
        splits = {}
        for split in SPLITS[1:]:
            chosen = (labelled & (self.rows["split"] == split)).to_numpy()
            wide = {name: np.zeros((chosen.sum(), len(classes))) for name in self.probabilities}
            for name, probabilities in self.probabilities.items():
                wide[name][:, columns] = probabilities[chosen]
            part = self.rows[chosen].reset_index(drop=True)
            splits[split] = Measured(part, tuple(classes), wide, params.resamples, seed)
        return splits

    def unfamiliar_shares(self) -> dict[str, dict[str, float]]:
        """The share of the rows of dev and test that each model marks as unfamiliar."""
        return {
            name: {split: float(marked[(self.rows["split"] == split).to_numpy()].mean()) for split in SPLITS[1:]}
            for name, marked in self.unfamiliar.items()
        }

    def table(self) -> str:
        """The scores as text, the best on dev first."""
        shown = [("dev", self.metric), *(("test", metric) for metric in dict.fromkeys((self.metric, *SHOWN)))]
        titles = [f"{split} {worded(metric)}" for split, metric in shown]
        lines = [f"{'model':<12}" + "".join(f"  {title}" for title in titles)]
        for name in sorted(self.metrics, key=lambda name: -self.metrics[name]["dev"][self.metric]):
            values = [self.metrics[name][split][metric] for split, metric in shown]
            cells = (f"  {value:>{len(title)}.3f}" for title, value in zip(titles, values, strict=True))
            lines.append(f"{name:<12}{''.join(cells)}{'  champion' if name == self.champion else ''}")
        return "\n".join(lines)

    @cached_property
    def _labelled(self) -> pd.DataFrame:
        return self.predictions[self.predictions["label"].notna() & self.predictions["split"].isin(SPLITS)]

    def _predictions(self, name: str) -> pd.DataFrame:
        probabilities = self.probabilities[name]
        frame = self.rows[[*KEY, "label"]].copy()
        frame.insert(len(KEY), "group", group_keys(self.rows))
        frame.insert(0, "model", name)
        frame["predicted"] = [self.labels[index] for index in probabilities.argmax(axis=1)]
        return pd.concat([frame, pd.DataFrame(probabilities, columns=[f"p_{label}" for label in self.labels])], axis=1)


def score_models(
    models: Mapping[str, Predictor],
    manifest: pd.DataFrame,
    tables: Tables,
    metric: Metric,
    own: Mapping[str, Tables] | None = None,
) -> Scores:
    """Ask models about every row outside of the training split.

    Args:
        models: by name.
        manifest: every row of the data, whole dialogues.
        tables: the features of these rows, of each modality.
        metric: by which dev chooses the champion.
        own: the features of a model that reads others, by its name.
    """
    labels = label_order(manifest)
    chosen = (manifest["split"] != "train").to_numpy()
    rows = manifest[chosen].reset_index(drop=True)
    subjects = together(models, rows, _chosen(tables, chosen), _own(own, chosen))
    train_labels = manifest.loc[training_rows(manifest), "label"].tolist()
    probabilities = {MAJORITY: majority_probabilities(train_labels, labels, len(rows))}
    probabilities |= {name: subject.answer_all() for name, subject in subjects.items()}
    telling = {name: subject for name, subject in subjects.items() if models[name].bundle.familiarity}
    unfamiliar: dict[str, NDArray[np.bool_]] = {
        name: np.logical_or.reduce(subject.unfamiliar(), axis=1) for name, subject in telling.items()
    }
    return Scores(labels, rows, probabilities, metric, unfamiliar)


def look_closely(
    scores: Scores,
    models: Mapping[str, Predictor],
    manifest: pd.DataFrame,
    tables: Tables,
    params: EvaluateParams,
    seed: int,
    own: Mapping[str, Tables] | None = None,
) -> dict[str, Any]:
    """All that the report says of models, as JSON; `scores` is what `score_models` gave for the other arguments."""
    splits = scores.measured(params, seed)
    last = (manifest["split"] == SPLITS[-1]).to_numpy()
    rows = manifest[last].reset_index(drop=True)
    subjects = together(models, rows, _chosen(tables, last), _own(own, last))
    shares = scores.unfamiliar_shares()
    for name, model in models.items():
        if model.bundle.familiarity is not None:
            shares[name]["held_out"] = model.bundle.familiarity.false_alarms
    return findings(splits, subjects, scores.champion, params, shares)


def _chosen(tables: Tables, rows: NDArray[np.bool_]) -> Tables:
    return {modality: table.select(rows) for modality, table in tables.items()}


def _own(own: Mapping[str, Tables] | None, rows: NDArray[np.bool_]) -> dict[str, Tables]:
    return {name: _chosen(tables, rows) for name, tables in (own or {}).items()}
