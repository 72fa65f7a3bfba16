"""Compare models and ways of training on extracted features: `python -m benchmarks.models --tree FOLDER --name MELD`.

FOLDER is one where `dvc repro` has run, at least up to the features. Nothing is chosen here: all is trained on train
with the params of this tree, changed as a variant says, and reported on dev.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit

from emofuse.core.errors import guard
from emofuse.core.metrics import summary
from emofuse.core.params import TrainParams, load_params
from emofuse.core.paths import FEATURES_DIR, MANIFEST_FILE
from emofuse.core.records import MODALITIES
from emofuse.core.tables import label_order, read_features, read_json, read_manifest, write_json
from emofuse.fusion.context import manifest_lines
from emofuse.fusion.finetuned import FinetunedScores
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.names import FUSIONS
from emofuse.fusion.registry import make_model
from emofuse.fusion.scaling import Scaler
from emofuse.training.calibration import apply_temperature, calibration_error, fit_shares, fit_temperature, log_pool
from emofuse.training.loop import Rows, train

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

Made by `python -m benchmarks.models` from `benchmarks/models.json`. Everything is trained on train and reported on
dev. Two things were chosen on dev, so that all of it is slightly optimistic: a member keeps the weights of its best
held-out epoch, since the last epoch's gave less there, and attention is 128 wide, not 64, which held-out folds don't
tell apart. Nothing else was chosen by these figures. Intervals hold 95% of the differences when dialogues are drawn
anew (bootstrap). `without lines` is the weighted F1 of utterances that are answered without the dialogue around them,
`held-out folds` that of the training rows by members that never met them; ECE is the expected calibration error,
before and after the temperature that is fitted on these. `finetuned` is what text encoders that were trained end to
end say alone (`text.finetune`), which the ensemble below it weighs too; where there is no such row, the encoder is
frozen. The hackathon-like cut is of MELD's first 1,000 training rows of five classes, a fifth of their dialogues held
out, cut anew for each seed. The built-in corpus is synthetic.
"""


@dataclass(frozen=True)
class Answers:
    """Probabilities, shape (n, classes): of training rows by members that never met them, and of dev rows."""

    held_out: NDArray[np.float64]
    dev: NDArray[np.float64]
    alone: NDArray[np.float64]


@dataclass(frozen=True)
class Data:
    """Training rows, dev rows, and what they are named."""

    rows: Rows
    dialogues: list[str]
    dev: Rows
    dev_dialogues: list[str]
    dims: dict[str, int]
    classes: int
    finetuned: Answers | None  # what finetuned text encoders say, where the features hold it


class Tree:
    """The features that lie in a tree."""

    def __init__(self, folder: Path, params: TrainParams) -> None:
        self.manifest = read_manifest(folder / MANIFEST_FILE)
        names = [name for name in MODALITIES if (folder / FEATURES_DIR / f"{name}.parquet").is_file()]
        self._tables = {name: read_features(name, self.manifest, folder / FEATURES_DIR) for name in names}
        self._lines = manifest_lines(self.manifest, self._tables["text"], params.attention)

    def data(self, fit: NDArray[np.bool_], dev: NDArray[np.bool_], clip: float) -> Data:
        """Rows to train on and to ask, scaled on the former."""
        labels = sorted(self.manifest["label"][fit].unique())
        scalers = {name: Scaler.fit(table.select(fit), clip) for name, table in self._tables.items()}

        def rows(chosen: NDArray[np.bool_]) -> Rows:
            picked = {name: table.select(chosen) for name, table in self._tables.items()}
            targets = [labels.index(label) for label in self.manifest["label"][chosen]]
            return Rows(make_batch(picked, scalers, list(picked), self._lines.select(chosen)), torch.tensor(targets))

        dialogues = [self.manifest["dialogue"][chosen].tolist() for chosen in (fit, dev)]
        dims = {name: scaler.width for name, scaler in scalers.items()}
        finetuned = None
        if self._tables["text"].names[-1].startswith("text_finetuned_"):
            member = FinetunedScores(dims, len(labels)).fit(scalers["text"], rows(fit).targets).eval()
            with torch.inference_mode():
                asked = [member(rows(chosen).batch).double().softmax(dim=1).numpy() for chosen in (fit, dev)]
            finetuned = Answers(asked[0], asked[1], asked[1])
        return Data(rows(fit), dialogues[0], rows(dev), dialogues[1], dims, len(labels), finetuned)

    def splits(self, seeds: int, clip: float) -> dict[int, Data]:
        """Train and dev as they are, for each seed."""
        labelled = self.manifest["label"].isin(label_order(self.manifest))
        parts = [(labelled & (self.manifest["split"] == split)).to_numpy() for split in ("train", "dev")]
        return dict.fromkeys(range(1, seeds + 1), self.data(parts[0], parts[1], clip))

    def cuts(self, seeds: int, clip: float) -> dict[int, Data]:
        """The first rows of train of the hackathon's classes, a fifth of their dialogues for dev, cut anew a seed."""
        chosen = np.flatnonzero((self.manifest["split"] == "train") & self.manifest["label"].isin(CUT_CLASSES))
        chosen = chosen[:CUT_ROWS]
        splitter = GroupShuffleSplit(seeds, test_size=0.2, random_state=0)
        found = {}
        for seed, parts in enumerate(splitter.split(chosen, groups=self.manifest["dialogue"].iloc[chosen]), start=1):
            masks = [np.isin(np.arange(len(self.manifest)), chosen[part]) for part in parts]
            found[seed] = self.data(masks[0], masks[1], clip)
        return found


def answers(name: str, data: Data, params: TrainParams, seed: int) -> Answers:
    """Train a model and ask it."""
    trained = train(lambda: make_model(name, data.dims, data.classes, params), data.rows, data.dialogues, params, seed)
    everyone = torch.ones(len(data.dev.targets), dtype=torch.bool)
    with torch.inference_mode():
        batches = (data.dev.batch, data.dev.batch.alone(everyone))
        asked = [torch.stack([m(b).double().softmax(dim=1) for m in trained.members]).numpy() for b in batches]
    dev, alone = (log_pool(members, [1 / len(members)] * len(members)) for members in asked)
    return Answers(trained.held_out, dev, alone)


def mixed(parts: Sequence[Answers], targets: NDArray[np.int64]) -> Answers:
    """The ensemble of several models."""
    shares = fit_shares(np.stack([part.held_out for part in parts]), targets)
    print("shares", shares)
    stacked = [[part.held_out, part.dev, part.alone] for part in parts]
    return Answers(*(log_pool(np.stack([part[i] for part in stacked]), shares) for i in range(3)))


def row(found: Mapping[int, Answers], base: Mapping[int, Answers], data: Mapping[int, Data]) -> dict[str, Any]:
    """The figures of a model or variant, means over the seeds, and its difference from `base`."""
    scores: list[dict[str, float]] = []
    for seed, answer in found.items():
        actual, targets = data[seed].dev.targets.numpy(), data[seed].rows.targets.numpy()
        temperature = fit_temperature(answer.held_out, targets)
        figures = summary(actual, answer.dev.argmax(axis=1))
        figures["alone"] = summary(actual, answer.alone.argmax(axis=1))["weighted_f1"]
        figures["held_out"] = summary(targets, answer.held_out.argmax(axis=1))["weighted_f1"]
        figures["ece_before"] = calibration_error(answer.dev, actual)
        figures["ece"] = calibration_error(apply_temperature(answer.dev, temperature), actual)
        scores.append(figures)
    low, high = np.percentile(differences(found, base, data), [2.5, 97.5]).tolist()
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]} | {"low": low, "high": high}


def differences(
    found: Mapping[int, Answers], base: Mapping[int, Answers], data: Mapping[int, Data], draws: int = 200
) -> NDArray[np.float64]:
    """The mean difference in weighted F1 over the seeds, in each of several draws of dev's dialogues."""
    gaps = np.zeros((len(found), draws))
    for number, seed in enumerate(found):
        actual, groups = data[seed].dev.targets.numpy(), np.unique(data[seed].dev_dialogues, return_inverse=True)[1]
        members = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
        ours, theirs = found[seed].dev.argmax(axis=1), base[seed].dev.argmax(axis=1)
        rng = np.random.default_rng(0)
        for draw in range(draws):
            chosen = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
            scores = [summary(actual[chosen], said[chosen])["weighted_f1"] for said in (ours, theirs)]
            gaps[number, draw] = scores[0] - scores[1]
    mean: NDArray[np.float64] = gaps.mean(axis=0)
    return mean


def compare(data: Mapping[int, Data], params: TrainParams, variants: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The table, name and figures of each way of training early fusion, then of every fusion and of their ensemble."""

    def each(name: str, changed: TrainParams) -> dict[int, Answers]:
        return {seed: answers(name, part, changed, seed) for seed, part in data.items()}

    models = {"early": each("early", params)}
    for name, change in VARIANTS.items() if variants else ():
        found = each("early", params.model_copy(update=change)) if change else models["early"]
        yield "variants", name, row(found, models["early"], data)
    for name in FUSIONS:
        models[name] = models.get(name) or each(name, params)
        yield "models", name, row(models[name], models["early"], data)
    finetuned = {seed: part.finetuned for seed, part in data.items() if part.finetuned}
    if finetuned:
        models[FinetunedScores.kind] = finetuned
        yield "models", FinetunedScores.kind, row(finetuned, models["early"], data)
    ensemble = {
        seed: mixed([found[seed] for found in models.values()], part.rows.targets.numpy())
        for seed, part in data.items()
    }
    yield "models", "ensemble", row(ensemble, models["early"], data)


def page(results: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    parts = [HEAD]
    for data, part in results.items():
        for kind, title in (("models", "models"), ("variants", "ways of training early fusion")):
            if kind in part["figures"]:
                parts.append(f"## {data}: {title}\n\nMeans of {part['seeds']} seed(s), {part['rows']} dev rows.\n")
                parts.append(_table(part["figures"][kind]))
    return "\n".join(parts)


def _table(figures: Mapping[str, Mapping[str, float]]) -> str:
    columns = ["accuracy", "macro_f1", "weighted_f1", "alone", "held_out", "ece_before", "ece"]
    titles = ["accuracy", "macro F1", "weighted F1", "without lines", "held-out folds", "ECE before", "ECE after"]
    lines = ["| | " + " | ".join(titles) + " | weighted F1 less early's |", "|---|" + "---|" * (len(titles) + 1)]
    for name in [name for name in (*FUSIONS, FinetunedScores.kind, "ensemble", *VARIANTS) if name in figures]:
        found = figures[name]
        cells = [f"{found[column]:.3f}" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {found['low']:+.3f} to {found['high']:+.3f} |")
    return "\n".join([*lines, ""])


def main(folder: Path, name: str, seeds: int, variants: bool, cut: bool) -> None:
    """Measure one data set; the others keep their last figures."""
    params = load_params()
    tree = Tree(folder, params.train)
    data = (tree.cuts if cut else tree.splits)(seeds, params.scale.clip)
    results = read_json(RESULTS) if RESULTS.is_file() else {}
    figures: dict[str, dict[str, Any]] = {}
    rows = round(float(np.mean([len(part.dev.targets) for part in data.values()])))
    for table, what, found in compare(data, params.train, variants):
        figures.setdefault(table, {})[what] = found
        results[name] = {"seeds": seeds, "rows": rows, "figures": figures}
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
