"""Compare models and ways of training on extracted features: `python -m benchmarks.models --tree FOLDER --name MELD`.

FOLDER is one where `dvc repro` has run, at least up to the features. Nothing is chosen here: all is trained on train
with the params of this tree, changed as a variant says, and reported on dev.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit

from emofuse.core.errors import guard
from emofuse.core.files import read_json, write_json
from emofuse.core.metrics import summary
from emofuse.core.params import Params, TextParams, load_params
from emofuse.core.paths import FEATURES_DIR, MANIFEST_FILE
from emofuse.core.records import MODALITIES, FeatureTable
from emofuse.core.tables import label_order, read_features, read_manifest, training_rows
from emofuse.evaluation.measured import WEIGHTED_F1
from emofuse.evaluation.uncertainty import Bootstrap
from emofuse.features.text.finetuned import column_names
from emofuse.fusion.finetuned import FinetunedScores
from emofuse.fusion.names import FUSIONS
from emofuse.fusion.scaling import Scaler, fit_scalers
from emofuse.inference.predictor import Predictor
from emofuse.training.bundle_training import make_ensemble, train_bundle
from emofuse.training.calibration import apply_temperature, calibration_error, fit_temperature
from emofuse.training.record import TrainedBundle

RESULTS, PAGE = Path("benchmarks/models.json"), Path("docs/models.md")
CUT_ROWS = 1000  # as many as the hackathon's teams had
CUT_CLASSES = ("anger", "joy", "neutral", "sadness", "surprise")
VARIANTS: dict[str, dict[str, Any]] = {
    "as in params.yaml": {},
    "no class weights": {"class_weight": 0.0},
    "full class weights": {"class_weight": 1.0},
    "focal loss, gamma 2": {"focal_gamma": 2.0},
    "logit adjustment 0.25, no weights": {"class_weight": 0.0, "logit_adjustment": 0.25},
    "logit adjustment 1, no weights": {"class_weight": 0.0, "logit_adjustment": 1.0},
    "balanced sampling 0.25, no weights": {"class_weight": 0.0, "balanced_sampling": 0.25},
    "balanced sampling 1, no weights": {"class_weight": 0.0, "balanced_sampling": 1.0},
    "mixup within the class, 0.5": {"mixup": 0.5},
    "noise 0.3": {"noise": 0.3},
    "no averaging of weights": {"averaging": 0.0},
}
HEAD = """# What models and ways of training are worth

**The MELD figures in the tables below are of dev; papers print test.** MELD's neutral share is 42% of dev and 48% of
test, so that scores on test are higher: nothing below may be held against a paper. This may, weighted F1 on the
official test split, 2,610 rows, seven classes:

| system | reads | weighted F1 on test |
|---|---|--:|
| majority class (accuracy 48.1) | | 31.3 |
| RoBERTa base, one line ([tae898/erc](https://github.com/tae898/erc)) | text | 63.3 |
| EmoBERTa large: one line, past lines, both sides (Kim and Vossen, 2021) | text | 63.5, 64.6, 65.6 |
| EmotionFlow, CoMPM (their papers) | text | 66.5, 66.5 |
| FacialMMT, TelME (their papers) | all | 66.7, 67.4 |
| emofuse, MiniLM frozen: text alone | text | 61.5 |
| emofuse: early, late, attention | text, metadata | 61.6, 61.3, 61.9 |
| emofuse: ensemble, the champion on dev | text, metadata | 61.8 |

The five figures of emofuse (accuracy 63.3 to 64.0) were measured in November 2026, outside this repository, which does
not hold the test split. Where it is at hand, `dvc exp run -S ingest.layout=meld -S ingest.root=MELD` gives them in
`reports/metrics.json`. Of MELD's own test rows all are of episodes that train has too, 95.8% are by speakers of train,
and 15.5% have texts that stand in train word for word. That holds for every system in the table.

## What can be had without training

`pretrained` is one more row of every table where classifiers of words, voice or face are named, so that it shows
whether training on your data beat what can be had for nothing; [pretrained.md](pretrained.md) tells how, and which it
takes. No figure of it stands here: the hub that holds such classifiers could not be reached where these were measured.

## How the tables below are made

Made by `python -m benchmarks.models` from `benchmarks/models.json`. Everything is trained on train and reported on
dev. Two things were chosen on dev, so that all of it is slightly optimistic: a member keeps the weights of its best
held-out epoch, since the last epoch's gave less there, and attention is 128 wide, not 64, which held-out folds don't
tell apart. Nothing else was chosen by these figures. Intervals hold 95% of the differences when dialogues are drawn
anew (bootstrap). `without lines` is the weighted F1 of utterances that are answered without the dialogue around them,
`held-out folds` that of the training rows by members that never met them; ECE is the expected calibration error,
before and after the temperature that is fitted on these. `finetuned` is what text encoders that were trained end to
end say alone (`text.finetune`), which the ensemble below it weighs too; where there is no such row, the encoder is
frozen. The hackathon-like cut is of MELD's first 1,000 training rows of five classes, a fifth of their dialogues held
out, cut anew for each seed. The built-in corpus is synthetic; its figures below are of the day that stands above each
table, those of the README of the last run.
"""


@dataclass(frozen=True)
class Answers:
    """Probabilities, shape (n, classes): of training rows by members that never met them, and of dev rows.

    Those of dev are not calibrated yet; `without_context` are of the same rows without the dialogue around them.
    """

    held_out: NDArray[np.float64]
    dev: NDArray[np.float64]
    without_context: NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """The rows of a tree, some of them to train on, some for dev, scaled on the former."""

    manifest: pd.DataFrame
    tables: Mapping[str, FeatureTable]
    scalers: Mapping[str, Scaler]

    @property
    def dev(self) -> NDArray[np.bool_]:
        """Which rows are asked."""
        rows: NDArray[np.bool_] = ((self.manifest["split"] == "dev") & self.manifest["label"].notna()).to_numpy()
        return rows

    def targets(self, rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The class of some of the rows."""
        codes: NDArray[np.int64] = pd.Index(label_order(self.manifest)).get_indexer(self.manifest["label"][rows])
        return codes

    def text(self, params: TextParams) -> TextParams:
        """The params of the text, finetuned where the features hold what finetuned encoders say of these classes."""
        names = column_names(label_order(self.manifest))
        epochs = int(self.tables["text"].names[-len(names) :] == names)
        return params.model_copy(update={"finetune": params.finetune.model_copy(update={"epochs": epochs})})


class Tree:
    """The features that lie in a tree."""

    def __init__(self, folder: Path, params: Params) -> None:
        self._scale = params.scale
        self.manifest = read_manifest(folder / MANIFEST_FILE)
        self._tables = {name: read_features(name, self.manifest, folder / FEATURES_DIR) for name in MODALITIES}

    def data(self, fit: NDArray[np.bool_], dev: NDArray[np.bool_]) -> Data:
        """Rows to train on and to ask; the others of their dialogues are context alone."""
        dialogue = self.manifest["split"] + "/" + self.manifest["dialogue"]
        split = np.select([dialogue.isin(dialogue[rows]) for rows in (fit, dev)], ["train", "dev"], "predict")
        labels = self.manifest["label"].where(fit | dev)
        manifest = self.manifest.assign(split=split, label=labels, dialogue=dialogue)
        return Data(manifest, self._tables, fit_scalers(manifest, self._tables, self._scale))

    def splits(self, seeds: int) -> dict[int, Data]:
        """Train and dev as they are, for each seed."""
        labelled = self.manifest["label"].isin(label_order(self.manifest))
        parts = [(labelled & (self.manifest["split"] == split)).to_numpy() for split in ("train", "dev")]
        return dict.fromkeys(range(1, seeds + 1), self.data(*parts))

    def cuts(self, seeds: int) -> dict[int, Data]:
        """The first rows of train of the hackathon's classes, a fifth of their dialogues for dev, cut anew a seed."""
        chosen = np.flatnonzero((self.manifest["split"] == "train") & self.manifest["label"].isin(CUT_CLASSES))
        chosen = chosen[:CUT_ROWS]
        splitter = GroupShuffleSplit(seeds, test_size=0.2, random_state=0)
        cuts = {}
        for seed, parts in enumerate(splitter.split(chosen, groups=self.manifest["dialogue"].iloc[chosen]), start=1):
            masks = [np.isin(np.arange(len(self.manifest)), chosen[part]) for part in parts]
            cuts[seed] = self.data(*masks)
        return cuts


def answers(trained: TrainedBundle, data: Data) -> Answers:
    """Ask a model."""
    predictor = Predictor(replace(trained.bundle, temperature=1.0))
    own = {modality: data.tables[modality] for modality in trained.bundle.features}
    dev = predictor.probabilities(own, data.manifest)[0][data.dev]
    without = predictor.probabilities({m: table.select(data.dev) for m, table in own.items()})[0]
    return Answers(trained.held_out.probabilities, dev, without)


def last_member(ensemble: TrainedBundle, data: Data) -> Answers:
    """Ask the last member of an ensemble alone, whose columns are of encoders that never met a training row."""
    bundle = replace(ensemble.bundle, members=ensemble.bundle.members[-1:], weights=(), temperature=1.0)
    own = {modality: data.tables[modality] for modality in bundle.features}
    everyone = Predictor(bundle).probabilities(own)[0]
    return Answers(everyone[training_rows(data.manifest)], everyone[data.dev], everyone[data.dev])


def row(asked: Mapping[int, Answers], base: Mapping[int, Answers], data: Mapping[int, Data]) -> dict[str, Any]:
    """The figures of a model or variant, means over the seeds, and its difference from `base`."""
    scores: list[dict[str, float]] = []
    for seed, answer in asked.items():
        actual, targets = (data[seed].targets(rows) for rows in (data[seed].dev, training_rows(data[seed].manifest)))
        temperature = fit_temperature(answer.held_out, targets)
        figures = summary(actual, answer.dev.argmax(axis=1))
        figures["without_context"] = summary(actual, answer.without_context.argmax(axis=1))["weighted_f1"]
        figures["held_out"] = summary(targets, answer.held_out.argmax(axis=1))["weighted_f1"]
        figures["ece_before"] = calibration_error(answer.dev, actual)
        figures["ece"] = calibration_error(apply_temperature(answer.dev, temperature), actual)
        scores.append(figures)
    low, high = np.percentile(gaps(asked, base, data), [2.5, 97.5]).tolist()
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]} | {"low": low, "high": high}


def gaps(
    asked: Mapping[int, Answers], base: Mapping[int, Answers], data: Mapping[int, Data], draws: int = 200
) -> NDArray[np.float64]:
    """The mean difference in weighted F1 over the seeds, in each of several draws of dev's dialogues."""
    apart = []
    for seed, part in data.items():
        bootstrap = Bootstrap(part.manifest["dialogue"][part.dev], draws, 0)
        actual, classes = part.targets(part.dev), len(label_order(part.manifest))
        ours, theirs = (
            bootstrap.scores(actual, each[seed].dev.argmax(axis=1), classes).resampled[:, WEIGHTED_F1]
            for each in (asked, base)
        )
        apart.append(ours - theirs)
    mean: NDArray[np.float64] = np.mean(apart, axis=0)
    return mean


def compare(data: Mapping[int, Data], params: Params, variants: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The table, name and figures of each way of training early fusion, then of every fusion and of their ensemble."""

    def each(name: str, changes: Mapping[str, Any]) -> dict[int, TrainedBundle]:
        train = params.train.model_copy(update=changes)
        return {
            seed: train_bundle(
                name,
                part.manifest,
                part.tables,
                part.scalers,
                params.model_copy(update={"seed": seed, "train": train, "text": part.text(params.text)}),
            )
            for seed, part in data.items()
        }

    def asked(trained: Mapping[int, TrainedBundle]) -> dict[int, Answers]:
        return {seed: answers(trained[seed], part) for seed, part in data.items()}

    models = {"early": each("early", {})}
    base = asked(models["early"])
    for name, change in VARIANTS.items() if variants else ():
        yield "variants", name, row(asked(each("early", change)) if change else base, base, data)
    for name in FUSIONS:
        models[name] = models.get(name) or each(name, {})
        yield "models", name, row(asked(models[name]), base, data)
    ensemble = {}
    for seed, part in data.items():
        words = part.tables["text"].select(training_rows(part.manifest))
        ensemble[seed] = make_ensemble([models[name][seed] for name in FUSIONS], words)
        print("shares", ensemble[seed].shares)
    if all(FinetunedScores.kind in each.shares for each in ensemble.values()):
        alone = {seed: last_member(ensemble[seed], part) for seed, part in data.items()}
        yield "models", FinetunedScores.kind, row(alone, base, data)
    yield "models", "ensemble", row(asked(ensemble), base, data)


def page(results: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for data, part in results.items():
        for kind, title in (("models", "models"), ("variants", "ways of training early fusion")):
            if kind in part["figures"]:
                parts.append(
                    f"## {data}: {title}\n\nMeans of {part['seeds']} seed(s), {part['rows']} dev rows; "
                    f"measured on {part['measured']}.\n"
                )
                parts.append(_table(part["figures"][kind]))
    return "\n".join(parts)


def _table(figures: Mapping[str, Mapping[str, float]]) -> str:
    columns = ["accuracy", "macro_f1", "weighted_f1", "without_context", "held_out", "ece_before", "ece"]
    titles = ["accuracy", "macro F1", "weighted F1", "without lines", "held-out folds", "ECE before", "ECE after"]
    lines = ["| | " + " | ".join(titles) + " | weighted F1 less early's |", "|---|" + "---|" * (len(titles) + 1)]
    for name in [name for name in (*FUSIONS, FinetunedScores.kind, "ensemble", *VARIANTS) if name in figures]:
        own = figures[name]
        cells = [f"{own[column]:.3f}" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {own['low']:+.3f} to {own['high']:+.3f} |")
    return "\n".join([*lines, ""])


def main(folder: Path, name: str, seeds: int, variants: bool, cut: bool) -> None:
    """Measure one data set; the others keep their last figures."""
    params = load_params()
    tree = Tree(folder, params)
    data = (tree.cuts if cut else tree.splits)(seeds)
    results = read_json(RESULTS) if RESULTS.is_file() else {}
    figures: dict[str, dict[str, Any]] = {}
    rows = round(float(np.mean([part.dev.sum() for part in data.values()])))
    for table, what, row_figures in compare(data, params, variants):
        figures.setdefault(table, {})[what] = row_figures
        results[name] = {"measured": date.today().isoformat(), "seeds": seeds, "rows": rows, "figures": figures}
        write_json(RESULTS, results)
        PAGE.write_text(page(read_json(RESULTS)), encoding="utf-8")
    print(page({name: results[name]}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, default=Path())
    parser.add_argument("--name", default="Built-in corpus")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", action="store_true", help="ways of training early fusion too")
    parser.add_argument("--cut", action="store_true", help="a small cut of train instead, a seed a way of cutting it")
    asked = parser.parse_args()
    with guard():
        main(asked.tree, asked.name, asked.seeds, asked.variants, asked.cut)
