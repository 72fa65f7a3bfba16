"""Hearing words, in a worker process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import torch

from emofuse.core.errors import MediaError
from emofuse.core.records import Utterance
from emofuse.media.limits import check_clip
from emofuse.service.media_pool.protocol import Cut, Hear, HeardWords
from emofuse.transcription.extractor import hear_one
from emofuse.transcription.film import film_sound, heard_lines
from emofuse.transcription.recogniser import Recogniser, load_recogniser
from emofuse.transcription.voice_activity import load_network
from emofuse.transcription.words import unpack_words

POLITE = 10  # by which listening gives way to answers where both want a core


def load_listener(listener: tuple[str, str | None]) -> Recogniser:
    """The recogniser, warm; this process and those that it forks give way to others.

    Raises:
        EncoderError: it can't be loaded.
    """
    os.nice(POLITE)
    torch.set_num_threads(1)  # those of OpenMP are lost in a fork, which would wait for them for good
    load_network()
    return load_recogniser(*listener, "cpu")


def hear_words(work: Hear, recogniser: Recogniser) -> HeardWords:
    """The words of a clip."""
    try:
        check_clip(work.file, work.bounds)
        row = hear_one(recogniser, Utterance(clip=work.file))
        return HeardWords([] if row.values is None else unpack_words(row.values), row.reason)
    except MediaError as error:
        return HeardWords(refused=str(error))
    except Exception as error:  # any library may be upset by a broken clip in its own way
        return HeardWords(refused=f"can't be listened to: {type(error).__name__}")


def heard_spans(
    work: Cut, recogniser: Recogniser, heard: dict[tuple[float, float], HeardWords]
) -> Iterator[tuple[float, float]]:
    """Start and end of each line of a video, whose words are put to `heard`."""
    for line in heard_lines(film_sound(work.video, work.bounds.seconds), recogniser):
        heard[line.start, line.end] = HeardWords(list(line.words), line.reason)
        yield line.start, line.end
