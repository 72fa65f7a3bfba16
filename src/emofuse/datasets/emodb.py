"""EmoDB, the Berlin database (Burkhardt et al., Interspeech 2005): ten actors, ten German sentences, seven emotions.

Files are named `<speaker><sentence><emotion><take>`, such as `03a01Fa.wav`, 535 of them; version 2.0 has 816. Source:
emodb.bilderbar.info (CC0 by audEERING's audb; the site says free to use) and zenodo.org/records/17651657 (CC BY 4.0).

The standard is one speaker left out at a time. `ingest.set` takes a speaker (`speaker16`), `audeering` (test speakers
of audEERING's audb, version 1.2.0) or `emobox_1` to `emobox_5`, whose folds have every test speaker in train.

Known faults: the emotions are uneven (127 of anger, 46 of disgust), and what listeners didn't recognise was left out,
so that scores are high. The words say nothing of the emotion, and are German.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from emofuse.core.params import IngestParams
from emofuse.datasets.named_clips import NamedCorpus, Performance, read_named_clips
from emofuse.datasets.raw_rows import RawRows
from emofuse.datasets.speaker_sets import speaker_set

LABELS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "joy",
    "T": "sadness",
    "N": "neutral",
}
TEXTS = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute Abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
NAME = re.compile(f"(\\d\\d)({'|'.join(TEXTS)})([{''.join(LABELS)}])[a-z]?")
SETS = {"audeering": speaker_set("speaker12 speaker14 speaker15 speaker16")}


def _parse(path: PurePosixPath) -> Performance | None:
    match = NAME.fullmatch(path.stem)
    if match is None:
        return None
    speaker, sentence, emotion = match.groups()
    return Performance(path.stem, LABELS[emotion], f"speaker{speaker}", TEXTS[sentence])


def read_emodb(params: IngestParams) -> RawRows:
    """Read EmoDB, its folder `wav` anywhere below the root.

    Raises:
        DataError: as `read_named_clips`.
    """
    return read_named_clips(params, NamedCorpus("EmoDB", _parse, SETS))
