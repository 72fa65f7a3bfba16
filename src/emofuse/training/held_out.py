"""What training leaves for reports and for the ensemble: scores, curves, and the answers for held-out rows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from emofuse.core.paths import REPORTS_DIR
from emofuse.core.records import KEY
from emofuse.core.tables import read_table, write_json, write_table
from emofuse.training.calibration import apply_temperature, calibration_error, log_loss
from emofuse.training.loop import Fold


def training_folder(name: str) -> Path:
    """Where the training of a model is reported."""
    return REPORTS_DIR / "training" / name


def write_held_out(
    name: str, keys: pd.DataFrame, targets: NDArray[np.int64], probabilities: NDArray[np.float64], labels: list[str]
) -> None:
    """Write each training row's label and its probabilities, shape (n, classes), before calibration."""
    frame = keys[KEY].reset_index(drop=True).assign(label=[labels[target] for target in targets])
    frame[[f"p_{label}" for label in labels]] = probabilities
    write_table(training_folder(name) / "held_out.parquet", pa.Table.from_pandas(frame, preserve_index=False))


def read_held_out(name: str) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Read what `write_held_out` wrote: keys and labels, and the probabilities.

    Raises:
        DataError: the file is missing or unreadable.
    """
    frame: pd.DataFrame = read_table(training_folder(name) / "held_out.parquet").to_pandas()
    probabilities = frame.filter(regex="^p_").to_numpy(dtype=np.float64)
    return frame[[*KEY, "label"]], probabilities


def write_folds(
    name: str,
    folds: list[Fold],
    targets: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    temperature: float,
) -> None:
    """Write the scores of the folds, and the calibration of the held-out rows before and after."""
    folder = training_folder(name)
    write_json(folder / "folds.json", [asdict(fold) for fold in folds])
    after = apply_temperature(probabilities, temperature)
    calibration = {
        "temperature": temperature,
        "ece_before": calibration_error(probabilities, targets),
        "ece": calibration_error(after, targets),
        "log_loss_before": log_loss(probabilities, targets),
        "log_loss": log_loss(after, targets),
    }
    write_json(folder / "calibration.json", calibration)
