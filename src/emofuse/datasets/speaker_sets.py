"""The test rows of a corpus by the names that people quote: sets of speakers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.params import IngestParams


@dataclass(frozen=True)
class SpeakerSet:
    """Who is measured on, and who is chosen by; without the latter, dev is cut from the training rows."""

    test: frozenset[str]
    dev: frozenset[str] = frozenset()


def speaker_set(test: str, dev: str = "") -> SpeakerSet:
    """A set of speakers whose names are given one space apart."""
    return SpeakerSet(frozenset(test.split()), frozenset(dev.split()))


def split_by_speakers(
    speakers: pd.Series, params: IngestParams, sets: Mapping[str, SpeakerSet], others: str = ""
) -> tuple[pd.Series, list[str]]:
    """The split of each row by `ingest.set`: a published set by its name, or a speaker who is left out.

    Args:
        speakers: of n rows.
        params: `set` must be given.
        sets: the published ones.
        others: what else may be named, for the message.

    Returns:
        The splits, and a note where the data lacks some of the set's speakers.

    Raises:
        DataError: there is no such set, or none of its test speakers is in the data.
    """
    here, name = set(speakers), str(params.set)
    chosen = sets.get(name) or (SpeakerSet(frozenset({name})) if name in here else None)
    if chosen is None:
        raise DataError(
            f"ingest.set: found {name!r}, expected one of {', '.join([*sets, *filter(None, [others])])}, or a speaker: "
            f"{', '.join(sorted(here))}"
        )
    wanted = chosen.test | chosen.dev
    if not chosen.test & here:
        raise DataError(
            f"{params.root}: found no clip of {', '.join(sorted(chosen.test))}, whom ingest.set {name} tests on; get "
            "the whole corpus, or set ingest.set to null"
        )
    splits = pd.Series("train", index=speakers.index, dtype=object)
    splits[speakers.isin(chosen.test)] = "test"
    splits[speakers.isin(chosen.dev)] = "dev"
    absent = sorted(wanted - here)
    return splits, [
        f"ingest.set {name} is of {len(wanted)} speakers, of whom {', '.join(absent)} have no clip: scores are not "
        "those that others quote"
    ] if absent else []
