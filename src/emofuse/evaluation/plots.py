"""Pictures of training and evaluation, drawn without a display."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from emofuse.schema import written_aside

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def confusion_picture(
    path: Path, title: str, actual: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> None:
    """Draw a confusion matrix: shade by the share of a class, count as text; rows are actual, columns predicted."""
    counts = confusion_matrix(actual, predicted, labels=list(labels))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(5.5, 5), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(title=title, xlabel="predicted", ylabel="actual")
    for row, column in np.ndindex(*counts.shape):
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color)
    _save(figure, path)


def curve_picture(path: Path, title: str, curve: pd.DataFrame) -> None:
    """Draw the losses and the held-out weighted F1 by epoch, means over the folds."""
    figure, (losses, score) = plt.subplots(1, 2, figsize=(8, 3.5), layout="constrained")
    losses.plot(curve["epoch"], curve["train_loss"], label="train")
    losses.plot(curve["epoch"], curve["held_out_loss"], label="held out")
    losses.set(title=title, xlabel="epoch", ylabel="loss")
    losses.legend()
    score.plot(curve["epoch"], curve["held_out_weighted_f1"], color="tab:green")
    score.set(xlabel="epoch", ylabel="weighted F1, held out")
    _save(figure, path)


def _save(figure: matplotlib.figure.Figure, path: Path) -> None:
    with written_aside(path) as aside:
        # The release of matplotlib in the file would change the bytes from machine to machine.
        figure.savefig(aside, format="png", dpi=100, metadata={"Software": None})
    plt.close(figure)
