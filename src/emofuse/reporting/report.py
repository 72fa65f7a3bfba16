"""The evaluation report as a page: tables and pictures of the findings, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from emofuse.core.files import atomic_write, read_json
from emofuse.core.learnt import LearntFrom
from emofuse.core.params import Params
from emofuse.core.paths import MODELS_DIR, REPORTS_DIR
from emofuse.datasets.data_findings import headline
from emofuse.evaluation.measured import difference_of
from emofuse.evaluation.met_before import met_before
from emofuse.fusion.names import ENSEMBLE, TRAINED
from emofuse.inference.description import bundle_learnt_from, bundle_version, finished_models
from emofuse.reporting.pages import render
from emofuse.reporting.thumbnails import thumbnails

LIBRARIES = ("emofuse", "torch", "transformers", "scikit-learn", "numpy", "scipy", "opencv-python-headless", "av")
SLICES = 12  # shown of each model; the JSON holds all


@dataclass(frozen=True)
class Material:
    """What the report and the model card are made from.

    Attributes:
        findings: what `findings` gave.
        data: the data report's JSON.
        params: flat, of the sections that change a result.
        learnt_from: what the champion says of the data that it was made from.
        measured_on: what the models that were trained here say of it.
        versions: of each model's bundle.
        curves: of each model's training, `epoch` and the means over the folds.
        pictures: data URIs of clips, from `thumbnails`.
        met_before: warnings of encoders that learnt from this very corpus.
    """

    findings: Mapping[str, Any]
    data: Mapping[str, Any]
    params: Mapping[str, Any]
    learnt_from: LearntFrom
    measured_on: LearntFrom
    versions: Mapping[str, str]
    curves: Mapping[str, pd.DataFrame]
    pictures: Mapping[str, str]
    met_before: Sequence[str] = ()

    @property
    def headline(self) -> Mapping[str, float]:
        """The data report's figures."""
        return headline(self.data)

    def rivals(self) -> list[str]:
        """What the champion is held against in words: text, the best single modality, the second on dev."""
        second = next(name for name in self.ranked() if name != self.findings["champion"])
        wanted = dict.fromkeys(("text", self.findings["best_single"], second))
        return [name for name in wanted if name != self.findings["champion"]]

    def ranked(self) -> list[str]:
        """Models, the best on dev first."""
        dev = next(iter(self.findings["scores"].values()))
        return sorted(dev, key=lambda name: -dev[name][self.findings["champion_metric"]]["value"])

    def subset_rows(self) -> list[list[Any]]:
        """What each fusion, in order, scores from each subset of the modalities, the best of the first on top.

        None where a fusion doesn't read them all.
        """
        first, *others = (
            {tuple(each["modalities"]): each for each in self.findings["subsets"][name]}
            for name in self.findings["fusions"]
        )
        rows = [[own, *(other.get(modalities) for other in others)] for modalities, own in first.items()]
        return sorted(rows, key=lambda row: -row[0]["value"])

    def difference(self, model: str, against: str) -> Mapping[str, Any] | None:
        """The paired difference of two models; None of a model from itself."""
        return difference_of(self.findings["differences"], model, against)


def read_material(params: Params) -> Material:
    """What earlier stages left for the report.

    Raises:
        DataError: a file of theirs is missing or unreadable.
    """
    findings, data = read_json(REPORTS_DIR / "evaluation.json"), read_json(REPORTS_DIR / "data.json")
    about, results = data["dataset"], params.of_results()
    clips = [mistake["clip"] for model in findings["models"].values() for mistake in model["mistakes"]]
    return Material(
        findings=findings,
        data=data,
        params={name: value for name, value in results.items() if name != "ingest.root"},
        learnt_from=bundle_learnt_from(MODELS_DIR / findings["champion"]),
        measured_on=bundle_learnt_from(MODELS_DIR / ENSEMBLE),
        versions={name: bundle_version(MODELS_DIR / name) for name in finished_models(MODELS_DIR)},
        curves={name: pd.read_csv(REPORTS_DIR / "training" / name / "curve.csv") for name in TRAINED},
        pictures=thumbnails(clips, params.ingest.root),
        met_before=list(met_before(results, about["layout"], about["name"], params.evaluate.met_before)),
    )


def write_report(path: Path, material: Material) -> None:
    """Write the report as HTML that needs nothing else, not even a network."""
    _write(path, "report.html.j2", material)


def write_card(path: Path, material: Material) -> None:
    """Write the model card of the champion as Markdown (Mitchell et al., Model Cards for Model Reporting, 2019)."""
    _write(path, "card.md.j2", material)


def _write(path: Path, template: str, material: Material) -> None:
    page = render(
        template,
        m=material,
        f=material.findings,
        on=material.findings["on"],
        data=material.data,
        champion=material.findings["champion"],
        best=material.findings["models"][material.findings["champion"]],
        ranked=material.ranked(),
        rivals=material.rivals(),
        slices=SLICES,
        libraries={name: version(name) for name in LIBRARIES},
    )
    with atomic_write(path) as aside:
        aside.write_text(page, encoding="utf-8")
