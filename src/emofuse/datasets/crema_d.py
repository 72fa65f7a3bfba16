"""CREMA-D (Cao et al., IEEE Transactions on Affective Computing 5(4), 2014): 91 actors, 12 sentences, six emotions.

Files are named `<actor>_<sentence>_<emotion>_<level>`, 7,442 of them. Source:
github.com/CheyneyComputerScience/CREMA-D, Open Database License 1.0. Where a clip is there as VideoFlash and as
AudioWAV, the video is taken. The label is what the actor was asked for.

There is no standard split. `ingest.set` takes an actor (`actor1001`), `audeering` (train, dev and test of audEERING's
audb, version 1.1.0, actors apart) or `emobox_1`, which has every test actor in train.

Known faults, which the authors list: `1076_MTI_SAD_XX` has no sound, `1064_TIE_SAD_XX.mp3` no duration,
`1064_IEO_DIS_MD` as mp3 and flv is a minute of all emotions, `1076_MTI_NEU_XX` as mp3 and flv is cut short. A clone
without git-lfs holds pointers of 130 bytes instead of clips.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from emofuse.core.params import IngestParams
from emofuse.datasets.named_clips import NamedCorpus, Performance, read_named_clips
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.speaker_sets import speaker_set

LABELS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "joy", "NEU": "neutral", "SAD": "sadness"}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "", "X": ""}  # one name lacks its second X
TEXTS = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
NAME = re.compile(f"(1\\d{{3}})_({'|'.join(TEXTS)})_({'|'.join(LABELS)})_({'|'.join(INTENSITIES)})")


def _actors(numbers: str) -> str:
    return " ".join(f"actor{1000 + int(number)}" for number in numbers.split())


SETS = {
    "audeering": speaker_set(
        test=_actors("63 74 79 76 78 82 84 89 80 83 88 90 68 69 71 77 86 87"),
        dev=_actors("60 61 49 53 54 55 58 75 59 70 85 57 62 64 65 66 67"),
    )
}


def _parse(path: PurePosixPath) -> Performance | None:
    match = NAME.fullmatch(path.stem)
    if match is None:
        return None
    actor, sentence, emotion, level = match.groups()
    return Performance(path.stem, LABELS[emotion], f"actor{actor}", TEXTS[sentence], INTENSITIES[level])


def read_crema_d(params: IngestParams) -> RawRows:
    """Read CREMA-D, its folders anywhere below the root.

    Raises:
        DataError: as `read_named_clips`.
    """
    return read_named_clips(params, NamedCorpus("CREMA-D", _parse, SETS))
