"""Pictures of training and evaluation, drawn without a display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from emofuse.core.files import atomic_write
from emofuse.core.metrics import confusion

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.layout_engine import ConstrainedLayoutEngine

plt.rcParams["text.parse_math"] = False  # a label may hold any sign, `$` too


def confusion_picture(
    path: Path, title: str, actual: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> None:
    """Draw a confusion matrix: shade by the share of a class, count as text; rows are actual, columns predicted."""
    counts = confusion(actual, predicted, labels).astype(int)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(5.5, 5))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(title=title, xlabel="predicted", ylabel="actual")
    for row, column in np.ndindex(*counts.shape):
        color = "white" if shares[row, column] > 0.5 else "black"
        # It lies within the axes: the layout need not look at it.
        cell = axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color)
        cell.set_in_layout(False)
    _save(figure, path)


def curve_picture(path: Path, title: str, curve: pd.DataFrame) -> None:
    """Draw the losses and the held-out weighted F1 by epoch, means over the folds."""
    figure, (losses, score) = plt.subplots(1, 2, figsize=(8, 3.5))
    losses.plot(curve["epoch"], curve["train_loss"], label="train")
    losses.plot(curve["epoch"], curve["held_out_loss"], label="held out")
    losses.set(title=title, xlabel="epoch", ylabel="loss")
    losses.legend()
    score.plot(curve["epoch"], curve["held_out_weighted_f1"], color="tab:green")
    score.set(xlabel="epoch", ylabel="weighted F1, held out")
    _save(figure, path)


def search_picture(path: Path, title: str, trials: pd.DataFrame, importance: pd.DataFrame) -> None:
    """Draw a search: the score of each trial with the best so far, and how much each setting mattered.

    Args:
        path: of the picture.
        title: what it is of.
        trials: `trial`, `weighted_f1` and `pruned` of each, in order.
        importance: `setting` and `importance` of each; may be empty.
    """
    figure, (scores, mattered) = plt.subplots(1, 2, figsize=(9, 3.8))
    for pruned, name in ((False, "complete"), (True, "pruned")):
        part = trials[trials["pruned"] == pruned]
        scores.scatter(part["trial"], part["weighted_f1"], label=name, alpha=0.5 if pruned else 1.0)
    scores.plot(trials["trial"], trials["weighted_f1"].where(~trials["pruned"]).cummax().ffill(), label="best so far")
    scores.set(title=title, xlabel="trial", ylabel="weighted F1, held out")
    scores.legend()
    mattered.barh(importance["setting"][::-1], importance["importance"][::-1])
    mattered.set(xlabel="share of the spread")
    _save(figure, path)


def reliability_picture(path: Path, title: str, bins: pd.DataFrame, coverage: pd.DataFrame) -> None:
    """Draw accuracy by confidence, and accuracy by the share of the rows that is answered.

    Args:
        path: of the picture.
        title: what it is of.
        bins: `confidence`, `accuracy` and `rows` of each bin.
        coverage: `coverage` and `accuracy`.
    """
    figure, (reliable, answered) = plt.subplots(1, 2, figsize=(8, 3.8))
    reliable.plot([0, 1], [0, 1], color="gray", linestyle="--", linewidth=1)
    reliable.scatter(bins["confidence"], bins["accuracy"], s=20 + 280 * bins["rows"] / bins["rows"].sum(), alpha=0.8)
    reliable.set(title=title, xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(-0.02, 1.02))
    answered.plot(coverage["coverage"], coverage["accuracy"], marker=".")
    answered.set(xlabel="share answered, the most confident first", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    _save(figure, path)


def subsets_picture(path: Path, title: str, subsets: pd.DataFrame) -> None:
    """Draw the weighted F1 from each subset of the modalities with its interval, the best on top.

    Args:
        path: of the picture.
        title: what it is of.
        subsets: `modalities`, `weighted_f1`, `low` and `high` of each.
    """
    ordered = subsets.sort_values("weighted_f1", kind="stable")
    figure, axes = plt.subplots(figsize=(8, 0.8 + 0.3 * len(ordered)))
    axes.barh(ordered["modalities"], ordered["weighted_f1"], color="tab:blue", alpha=0.8)
    axes.hlines(ordered["modalities"], ordered["low"], ordered["high"], color="black", linewidth=1)
    axes.set(title=title, xlabel="weighted F1, with its 95% interval", xlim=(0, 1))
    _save(figure, path)


def _save(figure: matplotlib.figure.Figure, path: Path) -> None:
    # Laid out here: a figure with a layout engine of its own, even an idle one, is drawn twice when it is saved.
    ConstrainedLayoutEngine().execute(figure)
    with atomic_write(path) as aside:
        # The release of matplotlib in the file would change the bytes from machine to machine.
        figure.savefig(aside, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)
