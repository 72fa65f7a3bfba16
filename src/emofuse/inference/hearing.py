"""Hears the lines of a film without a server, ahead of their answers, and tells who says them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from emofuse.core.device import pick_device
from emofuse.core.errors import MediaError
from emofuse.core.params import ServeParams
from emofuse.core.progress import progress
from emofuse.core.records import Utterance
from emofuse.inference.films import answer_heard
from emofuse.inference.heard import Heard, named_listener
from emofuse.inference.offline import Answer
from emofuse.inference.predictor import Predictor
from emofuse.transcription.extractor import hear_one
from emofuse.transcription.film import film_sound, heard_lines, to_the_failure, told_apart
from emofuse.transcription.recogniser import load_recogniser
from emofuse.transcription.speakers import Voices, load_voices
from emofuse.transcription.words import HeardLine, unpack_words

AHEAD = 32  # lines that are heard before they are answered


def answer_speech(
    predictor: Predictor, video: Path, limits: ServeParams, apart: bool, count: int | None
) -> Iterator[Answer]:
    """Answer each line that is heard in a film; the models are loaded at once.

    Args:
        predictor: answers.
        video: any file that FFmpeg reads.
        limits: who hears the words and tells voices apart, and how long the video may be.
        apart: whether to tell who says each line; then answers come once all lines are heard, since who comes last
            decides too who is whom.
        count: how many speakers there are; None where the voices decide.

    Raises:
        DataError: no recogniser is named.
        EncoderError: a model can't be loaded.
        MediaError: the video can't be decoded, has no sound or is too long, after the lines before that shows.
    """
    named, most = named_listener(limits, predictor.bundle), limits.timeline_seconds
    voices = load_voices(limits.speakers, pick_device()) if apart else None
    lines = listen(video, named, most, voices)
    if voices is not None:
        lines = _apart(lines, voices, count)
    return answer_heard(predictor, video, lines, named[0], voices.name if voices else None, most)


def listen(
    video: Path, named: tuple[str, str | None], most_seconds: float, voices: Voices | None = None
) -> Iterator[HeardLine]:
    """Hear a video's lines, as they come; the recogniser is loaded at once.

    Args:
        video: any file that FFmpeg reads.
        named: the recogniser, and the language.
        most_seconds: how long the video may be.
        voices: tell how each line sounds, where its speaker is to be told.

    Raises:
        EncoderError: the recogniser can't be loaded.
        MediaError: the video can't be decoded, has no sound or is too long, after the lines before that shows.
    """
    recogniser = load_recogniser(*named, pick_device())
    return _ahead(heard_lines(film_sound(video, most_seconds), recogniser, voices))


def _apart(lines: Iterable[HeardLine], voices: Voices, count: int | None) -> Iterator[HeardLine]:
    failures: list[MediaError] = []
    whole = list(progress(to_the_failure(lines, failures), "listen", None, "line"))
    yield from told_apart(whole, failures, voices, count)


def hear_clips(
    utterances: Sequence[Utterance], named: tuple[str, str | None]
) -> Iterator[tuple[Utterance, Heard | None]]:
    """Each utterance with the words of its clip where it has none of its own, and what was heard.

    Args:
        utterances: in any order.
        named: the recogniser, loaded where there is something to hear, and the language.

    Raises:
        EncoderError: the recogniser can't be loaded.
    """
    recogniser = None
    for utterance in utterances:
        if utterance.text.strip() or utterance.clip is None:
            yield utterance, None
            continue
        recogniser = recogniser or load_recogniser(*named, pick_device())
        row = hear_one(recogniser, utterance)
        heard = Heard.of([] if row.values is None else unpack_words(row.values), row.reason, named[0])
        yield replace(utterance, text=heard.text), heard


def _ahead(lines: Iterable[HeardLine]) -> Iterator[HeardLine]:
    """The lines, heard in a thread of their own while those before are answered."""
    rest = iter(lines)
    thread = ThreadPoolExecutor(1, "listening")
    try:
        coming = deque(thread.submit(next, rest, None) for _ in range(AHEAD))
        while (line := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, rest, None))
            yield line
    finally:  # who ends early waits for no line
        thread.shutdown(wait=False, cancel_futures=True)
