"""A folder a label: `<label>/<file>`, or `<split>/<label>/<file>` where every first folder is named as a split is."""

from __future__ import annotations

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams
from emofuse.core.text import normal_label
from emofuse.datasets.meld import existing
from emofuse.datasets.named_clips import media_below
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.values import SPLIT_NAMES


def read_folders(params: IngestParams) -> RawRows:
    """Read the clips below the root, however deep; a clip in no folder of a label has none.

    Raises:
        DataError: there is no root, no clip in it, or some of its folders are named as splits are and some not.
    """
    root = existing(params.root, "the folder that holds a folder of clips for each label")
    clips = media_below(root)
    if not clips:
        raise DataError(f"{root}: found no video and no sound, expected a folder of clips for each label")
    first = {clip.parts[0] for clip in clips if len(clip.parts) > 1}
    splits = {name for name in first if normal_label(name) in SPLIT_NAMES}
    if splits and splits != first:
        raise DataError(
            f"{root}: found the folders {', '.join(sorted(splits))}, which are named as splits are, beside "
            f"{', '.join(sorted(first - splits))}; expected splits with a folder a label in each, or labels alone"
        )
    rows = [
        {
            "clip": clip.as_posix(),
            "split": SPLIT_NAMES[normal_label(clip.parts[0])] if splits and len(clip.parts) > 1 else "train",
            "label": clip.parts[bool(splits)] if len(clip.parts) > 1 + bool(splits) else "",
            "source": clip.as_posix(),
            "row": 1,
        }
        for clip in clips
    ]
    return RawRows(pd.DataFrame(rows))
