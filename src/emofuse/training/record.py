"""What training leaves: a bundle, how it came about, and the held-out answers that an ensemble is fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from emofuse.core.files import write_json
from emofuse.core.paths import REPORTS_DIR
from emofuse.core.records import KEY
from emofuse.core.tables import read_table, write_csv, write_table
from emofuse.fusion.trained_model import Bundle
from emofuse.training.calibration import apply_temperature, calibration_error, log_loss
from emofuse.training.loop import Epoch, Fold


@dataclass(frozen=True)
class HeldOut:
    """n training rows, each answered by members that never met its group.

    Attributes:
        rows: the columns of `KEY` and `label`.
        labels: the classes.
        probabilities: of each row before calibration, shape (n, classes).
    """

    rows: pd.DataFrame
    labels: Sequence[str]
    probabilities: NDArray[np.float64]

    @property
    def targets(self) -> NDArray[np.int64]:
        """The class of each row, shape (n,)."""
        codes: NDArray[np.int64] = pd.Index(self.labels).get_indexer(self.rows["label"]).astype(np.int64)
        return codes


@dataclass(frozen=True)
class TrainedBundle:
    """A model and how it came about.

    Attributes:
        bundle: the model, calibrated.
        held_out: what its members answer for the training rows.
        folds: what each member came to on its held-out rows.
        history: every epoch of each member; an ensemble has none of its own.
        shares: what each model weighs in an ensemble; empty for others.
    """

    bundle: Bundle
    held_out: HeldOut
    folds: Sequence[Fold] = ()
    history: Sequence[Epoch] = ()
    shares: Mapping[str, float] = field(default_factory=dict)

    def curve(self) -> pd.DataFrame:
        """The means over the members of each epoch's figures."""
        history = pd.DataFrame([asdict(epoch) for epoch in self.history])
        # Folds of unlike size may differ by an epoch; a mean over fewer than all of them would jump.
        shared = history.groupby("epoch").filter(lambda epoch: len(epoch) == len(self.folds))
        return shared.groupby("epoch").mean().drop(columns="fold").reset_index()


def training_folder(name: str) -> Path:
    """Where the training of a model is reported."""
    return REPORTS_DIR / "training" / name


def write_training(trained: TrainedBundle) -> None:
    """Write what reports and the ensemble want to know of a training: held-out answers, folds, calibration, curves."""
    folder = training_folder(trained.bundle.name)
    held_out = trained.held_out
    frame = held_out.rows.reset_index(drop=True)
    frame[[f"p_{label}" for label in held_out.labels]] = held_out.probabilities
    write_table(folder / "held_out.parquet", pa.Table.from_pandas(frame, preserve_index=False))
    write_json(folder / "folds.json", [asdict(fold) for fold in trained.folds])
    write_json(folder / "calibration.json", _calibration(trained))
    if trained.history:
        write_csv(folder / "history.csv", pd.DataFrame([asdict(epoch) for epoch in trained.history]))
        write_csv(folder / "curve.csv", trained.curve())
    if trained.shares:
        write_json(folder / "weights.json", trained.shares)


def read_held_out(name: str, labels: Sequence[str]) -> HeldOut:
    """Read the held-out answers of a model with these classes.

    Raises:
        DataError: the file is missing or unreadable.
    """
    frame: pd.DataFrame = read_table(training_folder(name) / "held_out.parquet").to_pandas()
    probabilities = frame[[f"p_{label}" for label in labels]].to_numpy(dtype=np.float64)
    return HeldOut(frame[[*KEY, "label"]], labels, probabilities)


def _calibration(trained: TrainedBundle) -> dict[str, float]:
    """The calibration of the held-out rows before and after."""
    before, targets = trained.held_out.probabilities, trained.held_out.targets
    after = apply_temperature(before, trained.bundle.temperature)
    return {
        "temperature": trained.bundle.temperature,
        "ece_before": calibration_error(before, targets),
        "ece": calibration_error(after, targets),
        "log_loss_before": log_loss(before, targets),
        "log_loss": log_loss(after, targets),
    }
