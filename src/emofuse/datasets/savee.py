"""SAVEE (Jackson and Haq, University of Surrey, 2014): four men, seven emotions, 480 clips.

Files are named `<speaker>/<emotion><sentence>`, such as `DC/sa03.wav`, or, in a copy that goes round, `DC_sa03.wav`.
Source: kahlan.eps.surrey.ac.uk/savee, for research after registration. What was said stands in no name, so
`text.recogniser` has to hear it.

The standard is one speaker left out at a time: `ingest.set` takes a speaker (`DC`, `JE`, `JK`, `KL`) or `emobox_1` to
`emobox_4`, which are the same. With one man in test and one in dev two are left: set `train.folds` to 2.

Known faults: twelve of the fifteen sentences of an emotion are said in that emotion and as neutral alone, so that the
words give the emotion away; neutral has twice the clips; there are no women.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from emofuse.core.params import IngestParams
from emofuse.datasets.named_clips import NamedCorpus, Performance, read_named_clips
from emofuse.datasets.raw_rows import RawRows

LABELS = {
    "sa": "sadness",
    "su": "surprise",
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "joy",
    "n": "neutral",
}
NAME = re.compile(f"(?:.*[/_])?(DC|JE|JK|KL)[/_]({'|'.join(LABELS)})(\\d\\d)")


def _parse(path: PurePosixPath) -> Performance | None:
    match = NAME.fullmatch(path.with_suffix("").as_posix())
    if match is None:
        return None
    speaker, emotion, sentence = match.groups()
    return Performance(f"{speaker}_{emotion}{sentence}", LABELS[emotion], speaker)


def read_savee(params: IngestParams) -> RawRows:
    """Read SAVEE, its folders anywhere below the root.

    Raises:
        DataError: as `read_named_clips`.
    """
    return read_named_clips(params, NamedCorpus("SAVEE", _parse, {}))
