"""TESS (Pichora-Fuller and Dupuis, University of Toronto, 2010): two women, 200 words, seven emotions, 2,800 clips.

Files are named `<speaker>_<word>_<emotion>`, such as `OAF_back_angry.wav`; each says "Say the word back". Source:
doi.org/10.5683/SP2/E8H2MF, CC BY-NC-ND 4.0.

No split is agreed on, and few that are used tell anything: with two women, a random cut has both on either side, and
scores of 99% are of their voices. `ingest.set` takes one of them (`OAF`, `YAF`), whom nothing has heard then, or
`emobox_1`, which has both in train. With one woman left, dev and folds can only be cut with `ingest.apart` at `row`.

Known faults: `OA_bite_neutral.wav` lacks its F and is of OAF; pleasant surprise is `surprise` here. The words say
nothing of the emotion.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from emofuse.core.params import IngestParams
from emofuse.datasets.named_clips import NamedCorpus, Performance, read_named_clips
from emofuse.datasets.raw_rows import RawRows

LABELS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "joy",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
NAME = re.compile(f"(O|Y)AF?_(\\w+)_({'|'.join(LABELS)})", re.IGNORECASE)


def _parse(path: PurePosixPath) -> Performance | None:
    match = NAME.fullmatch(path.stem)
    if match is None:
        return None
    age, word, emotion = (part.lower() for part in match.groups())
    speaker = f"{age.upper()}AF"
    return Performance(f"{speaker}_{word}_{emotion}", LABELS[emotion], speaker, f"Say the word {word}.")


def read_tess(params: IngestParams) -> RawRows:
    """Read TESS, its files anywhere below the root.

    Raises:
        DataError: as `read_named_clips`.
    """
    return read_named_clips(params, NamedCorpus("TESS", _parse, {}))
