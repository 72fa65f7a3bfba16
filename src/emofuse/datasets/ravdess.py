"""RAVDESS (Livingstone and Russo, PLoS ONE 13(5), 2018): 24 actors, two sentences, eight emotions, two intensities.

Files are named `MM-CC-EE-II-SS-RR-AA`: modality (01 picture and sound, 02 picture, 03 sound), channel (01 speech, 02
song), emotion, intensity, sentence, repetition, actor. Source: zenodo.org/records/1188976, CC BY-NC-SA 4.0. The
speech is read (1,440 performances), since that is what is quoted; where a performance is there as video and as sound,
the video is taken.

Papers report speech with the actors apart. `ingest.set` takes an actor (`actor16`), `fold0` to `fold4` (Luna-Jimenez
et al., Sensors 21(22), 2021) or `emobox_1` to `emobox_6`.

Known faults: `03-01-03-01-02-01-07` and `03-01-03-01-02-02-07` hold the same samples, five of the speech files are
stereo; there is no strong neutral, so that neutral has half as many clips; the words say nothing of the emotion.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from emofuse.core.params import IngestParams
from emofuse.datasets.named_clips import NamedCorpus, Performance, read_named_clips
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.speaker_sets import speaker_set

NAME = re.compile(r"(0[123])-01-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")
LABELS = dict(
    zip(
        ("01", "02", "03", "04", "05", "06", "07", "08"),
        ("neutral", "calm", "joy", "sadness", "anger", "fear", "disgust", "surprise"),
        strict=True,
    )
)
TEXTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
RANKS = {"01": 0, "03": 1, "02": 2}  # a picture without sound comes last
SETS = {
    "fold0": speaker_set("actor02 actor05 actor14 actor15 actor16"),
    "fold1": speaker_set("actor03 actor06 actor07 actor13 actor18"),
    "fold2": speaker_set("actor10 actor11 actor12 actor19 actor20"),
    "fold3": speaker_set("actor08 actor17 actor21 actor23 actor24"),
    "fold4": speaker_set("actor01 actor04 actor09 actor22"),
}


def _parse(path: PurePosixPath) -> Performance | None:
    match = NAME.fullmatch(path.stem)
    if match is None:
        return None
    modality, emotion, intensity, sentence, _, actor = match.groups()
    return Performance(
        name=path.stem[3:],
        label=LABELS[emotion],
        speaker=f"actor{actor}",
        text=TEXTS[sentence],
        intensity={"01": "normal", "02": "strong"}[intensity],
        rank=RANKS[modality],
    )


def read_ravdess(params: IngestParams) -> RawRows:
    """Read RAVDESS's speech, its archives unpacked anywhere below the root.

    Raises:
        DataError: as `read_named_clips`.
    """
    return read_named_clips(params, NamedCorpus("RAVDESS's speech", _parse, SETS))
