"""Where the answers that are compared come from: this folder, a file, a bundle, an MLflow run or a DVC revision."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from emofuse.core.apart import group_keys
from emofuse.core.errors import DataError
from emofuse.core.files import read_json
from emofuse.core.paths import REPORTS_DIR
from emofuse.core.records import KEY
from emofuse.core.tables import read_features, read_manifest, read_table
from emofuse.inference.description import DESCRIPTION

WORKSPACE = "workspace"  # DVC's word for the files as they are
PREDICTIONS, METRICS = REPORTS_DIR / "predictions.parquet", REPORTS_DIR / "metrics.json"
RUN_ID = re.compile(r"[0-9a-f]{32}")  # MLflow's
COLUMNS = ("model", *KEY, "label", "predicted")
ASK = (
    "expected `workspace`, a DVC revision or experiment, an MLflow run id of 32 characters, a bundle folder or a "
    "predictions.parquet, each but a run and a bundle with `:MODEL` where another model than the champion is meant"
)


@dataclass(frozen=True)
class ModelAnswers:
    """One model's answers.

    Attributes:
        name: what the user called it, with the model's name.
        answers: the columns of `KEY`, `group`, `label` and `predicted`, a row an utterance.
    """

    name: str
    answers: pd.DataFrame


def read_source(asked: str, run_file: Callable[[str, str], Path]) -> ModelAnswers:
    """Find the answers that a name stands for.

    Args:
        asked: as in `ASK`.
        run_file: gives a file of an MLflow run, by the run's id and the file's path.

    Raises:
        DataError: there is no such thing, or it holds no answers.
    """
    path = Path(asked)
    if (path / DESCRIPTION).is_file():
        return ModelAnswers(asked, _of_bundle(path))
    if RUN_ID.fullmatch(asked):
        table = read_table(run_file(asked, "reports/predictions.parquet")).to_pandas()
        return _chosen(asked[:8], table, None, lambda: None)
    place, _, model = (asked, "", "") if path.exists() else asked.partition(":")
    if place == WORKSPACE:
        return _chosen(place, read_table(PREDICTIONS).to_pandas(), model, lambda: _champion(METRICS))
    if Path(place).is_file():
        beside = Path(place).with_name(METRICS.name)
        return _chosen(place, _of_file(Path(place)), model, lambda: _champion(beside))
    if "/" in place and not place.startswith("refs/") and Path(place).suffix == ".parquet":
        raise DataError(f"{place}: no such file; {ASK}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = read_table(of_revision(place, PREDICTIONS, folder)).to_pandas()
        return _chosen(place, table, model, lambda: _champion(of_revision(place, METRICS, folder)))


def _chosen(name: str, table: pd.DataFrame, model: str | None, champion: Callable[[], str | None]) -> ModelAnswers:
    """One model of a table of answers: the one that was asked for, the only one, or the champion."""
    models = table["model"].unique().tolist()
    wanted = model or (models[0] if len(models) == 1 else champion())
    if wanted not in models:
        raise DataError(f"{name}: found no answers of model {wanted}, expected one of {', '.join(models)}; add :MODEL")
    own = table[table["model"] == wanted]
    return ModelAnswers(f"{name}:{wanted}", own.assign(group=group_keys(own))[[*KEY, "group", "label", "predicted"]])


def _of_file(path: Path) -> pd.DataFrame:
    """A table of answers that the user named; it is not ours to be deleted, so `read_table`'s advice won't do."""
    try:
        table: pd.DataFrame = pq.read_table(path).to_pandas()
    except (pa.ArrowInvalid, OSError):
        raise DataError(f"{path}: can't be read as Parquet; {ASK}") from None
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise DataError(f"{path}: found no column {', '.join(missing)}, so it holds no answers; {ASK}")
    return table


def _champion(path: Path) -> str | None:
    return str(read_json(path)["champion"]) if path.is_file() else None


def _of_bundle(folder: Path) -> pd.DataFrame:
    """What a bundle answers for the dev and test rows of the manifest, from the features that lie beside it."""
    from emofuse.evaluation.subject import Subject
    from emofuse.inference.predictor import Predictor

    predictor = Predictor.load(folder)
    manifest = read_manifest()
    rows = manifest[manifest["split"] != "train"]
    tables = {}
    for modality, names in predictor.bundle.features.items():
        table = read_features(modality, manifest)
        if table.names != names:
            raise DataError(
                f"{folder}: its {modality} features are others than those in features/; compare what made it instead: "
                "a DVC revision or an MLflow run"
            )
        tables[modality] = table.select(rows.index.to_numpy())
    rows = rows.reset_index(drop=True)
    answers = Subject(predictor, rows, tables).answer_all().argmax(axis=1)
    return rows[[*KEY, "group", "label"]].assign(predicted=[predictor.bundle.labels[answer] for answer in answers])


def of_revision(revision: str, path: Path, folder: Path) -> Path:
    """A file as it was at a revision of this repository, from git, DVC's cache or its remote."""
    target = folder / path.name
    command = [sys.executable, "-m", "dvc", "get", ".", path.as_posix(), "--rev", revision, "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        reason = " ".join(lines).removeprefix("ERROR: ").removeprefix("unexpected error - ")
        if "unknown Git revision" in reason:
            raise DataError(f"{revision}: found no such thing; {ASK}")
        raise DataError(
            f"{revision}: {reason}; expected {path} in DVC's cache: `dvc fetch --all-commits` gets it from a remote, "
            "or `dvc repro` at that revision makes it"
        )
    return target
