"""Extractors that fail, each in its own way; workers import them, so this module is light."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from emofuse.core.params import AudioParams
from emofuse.core.records import Extracted, Utterance
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.contract import Extractor


class Fragile(AudioExtractor):
    """The audio extractor, but of some clips its process dies or hangs, or it raises, as a decoder may."""

    def __init__(self, params: AudioParams, deadly: str, how: str = "dies") -> None:
        super().__init__(params)
        self._deadly, self._how = deadly, how

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        for utterance in utterances:
            if isinstance(utterance.clip, Path) and utterance.clip.match(self._deadly):
                self._fail()
            yield from super().extract([utterance])

    def _fail(self) -> None:
        if self._how == "dies":
            os._exit(11)
        if self._how == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._how == "hangs":
            time.sleep(600)
        raise ValueError("no such filter")


def no_library() -> Extractor:
    raise ImportError("libsndfile.so.1: cannot open shared object file")


def no_room() -> Extractor:
    raise OSError(28, "No space left on device")


def no_memory() -> Extractor:
    os._exit(9)
