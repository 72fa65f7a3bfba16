"""Labelled data that a command names: `LAYOUT:PATH`, or a path alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emofuse.core.errors import DataError
from emofuse.core.layouts import LAYOUTS
from emofuse.core.params import IngestParams
from emofuse.core.text import normal_label


def corpus_params(asked: str, label_map: Sequence[str], params: IngestParams) -> IngestParams:
    """How to read a corpus.

    Args:
        asked: `LAYOUT:PATH`, or a path that is read as `params` say; of a table the file, or its folder.
        label_map: `LABEL=CLASS` each: what a label of the data is called here.
        params: for all else.

    Raises:
        DataError: there is no such layout or path, or a pair is none.
    """
    layout, colon, path = asked.partition(":")
    if not colon or Path(asked).exists():
        layout, path = params.layout, asked
    if layout not in LAYOUTS or not Path(path).exists():
        raise DataError(
            f"{asked}: found no such {'path' if layout in LAYOUTS else 'layout'}, expected a path or LAYOUT:PATH with "
            f"one of {', '.join(LAYOUTS)}"
        )
    pairs = [pair.partition("=") for pair in label_map]
    for label, equals, name in pairs:
        if not (label and equals and name):
            raise DataError(f"found {label + equals + name!r}, expected LABEL=CLASS, as happy=joy")
    named = {normal_label(label): name for label, _, name in pairs}
    if len(named) < len(pairs):
        raise DataError(f"found {', '.join(label_map)}, expected each label once: case and spaces make no other label")
    labels = {label: name for label, name in params.labels.items() if normal_label(label) not in named} | named
    root, table = Path(path), params.table.model_dump()
    if root.is_file():
        root, table["file"] = root.parent, root.name
    changes = {"layout": layout, "root": root, "set": None, "labels": labels, "table": table}
    changes |= {"id": None, "apart": "auto"}  # which are of one's own data
    return IngestParams.model_validate(params.model_dump() | changes)
