"""The tables that cross a stage: columns, keys, and how they are read and written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from emofuse.core.errors import DataError
from emofuse.core.files import atomic_write
from emofuse.core.paths import FEATURES_DIR, MANIFEST_FILE
from emofuse.core.reasons import NO_CLIP_GIVEN, Cause
from emofuse.core.records import CONTEXT_LINES, KEY, MODALITIES, NO_CLIP, Extracted, FeatureTable, Line, Utterance
from emofuse.core.rows import ManifestRow, Split

_ARROW: dict[object, pa.DataType] = {
    **dict.fromkeys((Split, str, str | None), pa.string()),
    **dict.fromkeys((int, int | None), pa.int64()),
    float | None: pa.float64(),
    list[str]: pa.list_(pa.string()),
}
MANIFEST = pa.schema([(name, _ARROW[field.annotation]) for name, field in ManifestRow.model_fields.items()])
ROW_GROUP = 2048  # rows that are held at a time while features are written
KEY_FIELDS = [(name, MANIFEST.field(name).type) for name in KEY]


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV, aside and then renamed; its lines end alike on every system."""
    with atomic_write(path) as aside:
        frame.to_csv(aside, index=False, lineterminator="\n", encoding="utf-8")


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet, aside and then renamed."""
    with atomic_write(path) as aside:
        pq.write_table(table, aside, compression="zstd")


def read_table(path: Path) -> pa.Table:
    """Read a Parquet table that a stage wrote.

    Raises:
        DataError: the file is missing or unreadable.
    """
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run `dvc repro`, which makes it") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path}: expected a Parquet table; {error}. Delete it and run `dvc repro`") from None


def read_manifest(path: Path = MANIFEST_FILE) -> pd.DataFrame:
    """Read the manifest, one row an utterance.

    Raises:
        DataError: the file is missing, unreadable, or lacks a column.
    """
    table = read_table(path)
    missing = [name for name in MANIFEST.names if name not in table.column_names]
    if missing:
        raise DataError(f"{path}: missing columns {missing}, expected {MANIFEST.names}; run `dvc repro -f ingest`")
    frame: pd.DataFrame = table.to_pandas()
    return frame


def write_manifest(frame: pd.DataFrame, path: Path = MANIFEST_FILE) -> None:
    """Write the manifest in its contract's column order and types."""
    write_table(path, pa.Table.from_pandas(frame[MANIFEST.names], schema=MANIFEST, preserve_index=False))


def utterances(rows: pd.DataFrame, root: Path | str) -> list[Utterance]:
    """Rows of a table as extractors see them: the one place where a row becomes an utterance.

    Args:
        rows: n rows with any columns of the manifest; what is absent is unknown. The context of a row is found among
            the rows given, so these hold whole dialogues.
        root: a folder or a URL, which clip paths are joined to.
    """
    far = "://" in str(root)
    rows = rows.assign(**{name: None for name in MANIFEST.names if name not in rows}).astype(object)
    rows = rows.where(rows.notna(), None)
    # Times that no other line of the dialogue shares a clock with say nothing but how long the row lasts.
    talk = ["split", "dialogue"]
    timed = rows.duplicated([*talk, "clock"], keep=False) | ~rows.duplicated(talk, keep=False)
    own_lines = [Line(row.text or "", row.speaker, row.start, row.end) for row in rows.itertuples(index=False)]
    lines = [
        line if alike else replace(line, start=None, end=None) for line, alike in zip(own_lines, timed, strict=True)
    ]
    return [
        Utterance(
            **vars(line),
            clip=Path(root) / row.clip if row.clip and not far else None,
            url=f"{root}/{row.clip}" if row.clip and far else None,
            sha256=row.clip_sha256,
            duration=own.lasts,
            position=None if row.position is None else int(row.position),
            dialogue_length=None if row.dialogue_length is None else int(row.dialogue_length),
            context=context,
            clip_reason=_clip_reason(() if row.issues is None else row.issues),
        )
        for row, own, line, context in zip(
            rows.itertuples(index=False), own_lines, lines, _contexts(rows, lines), strict=True
        )
    ]


def _clip_reason(issues: Iterable[str]) -> Cause:
    causes = map(Cause.parse, issues)
    return next((cause for cause in causes if cause.reason in NO_CLIP_GIVEN), NO_CLIP)


def dialogue_order(manifest: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Numbers of the rows that stand in dialogues, one after the other as they were said, and the dialogue of each."""
    placed = manifest[["split", "dialogue", "position"]].set_axis(range(len(manifest)))
    placed = placed.dropna(subset=["dialogue", "position"])
    placed = placed.sort_values(["split", "dialogue", "position"], kind="stable")
    numbers = placed.groupby(["split", "dialogue"], sort=False, dropna=False).ngroup()
    return placed.index.to_numpy(), numbers.to_numpy()


def _contexts(rows: pd.DataFrame, lines: Sequence[Line]) -> list[tuple[Line, ...]]:
    """The lines before each of n rows in its dialogue; none where the row stands alone."""
    contexts: list[tuple[Line, ...]] = [()] * len(rows)
    before: list[Line] = []
    last = -1
    for number, dialogue in zip(*dialogue_order(rows), strict=True):
        before = before[-CONTEXT_LINES:] if dialogue == last else []
        contexts[number], last = tuple(before), dialogue
        before.append(lines[number])
    return contexts


def write_features(path: Path, keys: pd.DataFrame, names: Sequence[str], rows: Iterable[Extracted]) -> None:
    """Write one modality's features: the key, `present`, `reason`, and a float32 column a feature.

    Args:
        path: the Parquet file, written aside and then renamed.
        keys: n rows with the columns of `KEY`.
        names: d feature names.
        rows: n rows in the order of `keys`; of them `ROW_GROUP` are held at a time.
    """
    fields = [*KEY_FIELDS, ("present", pa.bool_()), ("reason", pa.string()), *((name, pa.float32()) for name in names)]
    schema = pa.schema(fields)
    waiting = iter(rows)
    # Hardly two values of a feature are equal: a dictionary of them would double both time and size.
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": False}
    with atomic_write(path) as aside, pq.ParquetWriter(aside, schema, **options) as writer:
        for start in range(0, len(keys), ROW_GROUP):
            table = FeatureTable.stack(names, list(islice(waiting, ROW_GROUP)))
            part = keys.iloc[start : start + ROW_GROUP]
            columns: list[pa.Array] = [pa.array(part[name], type=kind) for name, kind in KEY_FIELDS]
            columns += [pa.array(table.present), pa.array(table.reasons, type=pa.string())]
            columns += [pa.array(column) for column in np.ascontiguousarray(table.values.T)]
            writer.write_table(pa.table(columns, schema=schema))


def read_features(modality: str, keys: pd.DataFrame, folder: Path = FEATURES_DIR) -> FeatureTable:
    """Read one modality's features.

    Raises:
        DataError: the file is missing, or its keys are not those of the manifest.
    """
    path = folder / f"{modality}.parquet"
    table = read_table(path)
    rows = table.select(KEY).to_pandas()
    if not rows.reset_index(drop=True).equals(keys[KEY].reset_index(drop=True)):
        raise DataError(f"{path}: its rows are not the manifest's; run `dvc repro`")
    names = table.column_names[len(KEY) + 2 :]
    values = np.column_stack([table[name].to_numpy() for name in names]).astype(np.float32)
    present = table["present"].to_numpy().astype(bool)
    return FeatureTable(tuple(names), values, present, tuple(table["reason"].to_pylist()))


def label_order(manifest: pd.DataFrame) -> list[str]:
    """The classes of the training split, in alphabetical order: the order of every probability vector."""
    return sorted(manifest.loc[training_rows(manifest), "label"].unique())


def training_rows(manifest: pd.DataFrame) -> NDArray[np.bool_]:
    """Which rows of the manifest are trained on: those of the training split that have a label."""
    chosen: NDArray[np.bool_] = ((manifest["split"] == "train") & manifest["label"].notna()).to_numpy(dtype=bool)
    return chosen


def read_all_features(
    keys: pd.DataFrame, modalities: Iterable[str] = MODALITIES, folder: Path = FEATURES_DIR
) -> Mapping[str, FeatureTable]:
    """Read the features of several modalities."""
    return {modality: read_features(modality, keys, folder) for modality in modalities}
