"""A few clips as the product sees them: the face of whoever speaks, or a frame in which no face was found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.params import VisualParams
from emofuse.core.reasons import Reason
from emofuse.core.records import FeatureTable
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.media.clip import FileClip
from emofuse.media.decode import middle_frame
from emofuse.reporting.thumbnails import data_uri

SHOWN = 8  # clips with a face, and as many without
FACES = 4  # of a clip, spread over it
SIDE = 96  # pixels of an upright face


class Seen(NamedTuple):
    """A clip of the sheet: its path below the root, and its picture as a data URI."""

    clip: str
    picture: str


def contact_sheet(
    manifest: pd.DataFrame, visual: FeatureTable, root: Path, params: VisualParams
) -> dict[str, list[Seen]]:
    """Clips spread over the rows whose face was found, and over those where none was; what can't be opened is left out.

    Args:
        manifest: n rows.
        visual: their visual features.
        root: the folder that holds the clips.
        params: how faces are looked for.
    """
    looking = VisualExtractor(params.model_copy(update={"encoder": "none", "groups": ["pixels"]}))
    clips, reasons = manifest["clip"], np.array(visual.reasons, dtype=object)
    with_face = clips[visual.present & clips.notna().to_numpy()]
    without = clips[~visual.present & clips.notna().to_numpy() & (reasons == str(Reason.NO_FACE))]
    return {
        "faces": list(_seen(_spread(with_face), root, lambda path: _faces(looking, path))),
        "no_face": list(_seen(_spread(without), root, lambda path: middle_frame(path, 2 * SIDE))),
    }


def _spread(clips: pd.Series) -> list[str]:
    """Some of them, spread evenly, each once."""
    unique = clips.unique()
    return [str(unique[number]) for number in _evenly(len(unique), SHOWN)]


def _seen(clips: Iterable[str], root: Path, picture: Callable[[Path], NDArray[np.uint8]]) -> Iterator[Seen]:
    for clip in clips:
        try:
            yield Seen(clip, data_uri(picture(root / clip)))
        except MediaError:
            continue


def _faces(looking: VisualExtractor, clip: Path) -> NDArray[np.uint8]:
    """Upright faces of whoever speaks, side by side: uint8 of shape (96, 96 * faces).

    Raises:
        MediaError: the clip can't be read, or no face is found any more.
    """
    track = looking.watch(FileClip(clip)).face
    if not track:
        raise MediaError(Reason.NO_FACE)
    return np.hstack([track[number].aligned for number in _evenly(len(track), FACES)])


def _evenly(count: int, most: int) -> list[int]:
    """At most `most` numbers from 0 to count - 1, the first and the last among them."""
    return sorted({round(step * (count - 1) / (most - 1)) for step in range(most)}) if count else []
