"""Hearing words, in a worker process."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import torch

from emofuse.core.errors import MediaError
from emofuse.core.records import Utterance
from emofuse.media.limits import check_clip
from emofuse.service.media_pool.protocol import Cut, Hear, HeardWords, Listener, Piece
from emofuse.transcription.extractor import hear_one
from emofuse.transcription.film import film_sound, heard_lines, to_the_failure, told_apart
from emofuse.transcription.recogniser import Recogniser, load_recogniser
from emofuse.transcription.speakers import Voices, load_voices
from emofuse.transcription.voice_activity import load_network
from emofuse.transcription.words import HeardLine, unpack_words

POLITE = 10  # by which listening gives way to answers where both want a core


@dataclass(frozen=True)
class Ears:
    """What hears words and tells voices apart."""

    recogniser: Recogniser
    voices: Voices


def load_ears(listener: Listener) -> Ears:
    """The models, warm; this process and those that it forks give way to others.

    Raises:
        EncoderError: one can't be loaded.
    """
    os.nice(POLITE)
    torch.set_num_threads(1)  # those of OpenMP are lost in a fork, which would wait for them for good
    load_network()
    return Ears(load_recogniser(listener.recogniser, listener.language, "cpu"), load_voices(listener.speakers, "cpu"))


def hear_words(work: Hear, ears: Ears) -> HeardWords:
    """The words of a clip."""
    try:
        check_clip(work.file, work.bounds)
        row = hear_one(ears.recogniser, Utterance(clip=work.file))
        return HeardWords([] if row.values is None else unpack_words(row.values), row.reason)
    except MediaError as error:
        return HeardWords(refused=str(error))
    except Exception as error:  # any library may be upset by a broken clip in its own way
        return HeardWords(refused=f"can't be listened to: {type(error).__name__}")


def hear_film(work: Cut, ears: Ears) -> Generator[tuple[Piece, bytes], None, Iterator[HeardLine]]:
    """Listen to a film, and say how far where that has to come to its end first; returns its lines.

    Raises:
        MediaError: by the lines: the film breaks off, after those before that.
    """
    lines = heard_lines(
        film_sound(work.video, work.bounds.seconds), ears.recogniser, ears.voices if work.speakers else None
    )
    if not work.speakers:
        return lines
    whole: list[HeardLine] = []
    failures: list[MediaError] = []
    for line in to_the_failure(lines, failures):
        whole.append(line)
        yield Piece(None, end=line.end, listening=True), b""
    return told_apart(whole, failures, ears.voices, work.speaker_count)


def heard_spans(
    lines: Iterable[HeardLine], heard: dict[tuple[float, float], HeardWords]
) -> Iterator[tuple[float, float]]:
    """Start and end of each line, whose words are put to `heard`."""
    for line in lines:
        heard[line.start, line.end] = HeardWords(list(line.words), line.reason, line.speaker)
        yield line.start, line.end
