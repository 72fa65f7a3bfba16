"""The words of a long sound, span of speech by span of speech, as they come: memory stays flat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from emofuse.core.errors import MediaError
from emofuse.core.reasons import Cause, Reason
from emofuse.media.decode import sound_frames
from emofuse.media.mono import as_mono
from emofuse.transcription.extractor import HUSH, LONGEST, MARGIN, loud_spans, short_spans, speech_parts, words_of
from emofuse.transcription.recogniser import Recogniser, Sound
from emofuse.transcription.speakers import Voices, with_speakers
from emofuse.transcription.voice_activity import RATE, SpeechSpan
from emofuse.transcription.words import HeardLine, Word

T = TypeVar("T")
BLOCK = 20.0  # seconds that are listened to at a time
OPEN = 1.0  # seconds before the end of what is listened to: speech that ends there may go on
LONGEST_LINE = 15.0  # seconds of a line; longer speech without a pause is cut
LEAST_SENTENCE = 1.0  # seconds of a sentence that is a line of its own
ENDINGS = (".", "?", "!", "…", "。", "？", "！")  # of sentences
LEAST_SHARE = 0.1  # of the loudest so far, to which a quiet block counts: its noise is not made as loud as speech


def film_sound(film: Path, most_seconds: float) -> Iterator[Sound]:
    """The sound of a film in parts, mono at 16 kHz, in [-1, 1].

    Raises:
        MediaError: it can't be decoded, has no sound or lasts longer than `most_seconds`, after the parts before that.
    """
    for part in as_mono(sound_frames(film, most_seconds), RATE):
        yield part.astype(np.float32) / np.float32(2**31)


def to_the_failure(items: Iterable[T], failures: list[MediaError]) -> Iterator[T]:
    """The items before the error that ends them, which is put beside them, to be raised later."""
    try:
        yield from items
    except MediaError as error:
        failures.append(error)


def told_apart(
    lines: Sequence[HeardLine], failures: Sequence[MediaError], voices: Voices, count: int | None
) -> Iterator[HeardLine]:
    """The lines of a whole film with their speakers.

    Args:
        lines: with their voices.
        failures: what the film broke off with, if it did.
        voices: told how the lines sound.
        count: how many speakers there are; None where the voices decide.

    Raises:
        MediaError: the film broke off with it, after the lines before that.
    """
    yield from with_speakers(lines, voices, count)
    if failures:
        raise failures[0]


def heard_lines(sound: Iterable[Sound], recogniser: Recogniser, voices: Voices | None = None) -> Iterator[HeardLine]:
    """Each span of speech with its words, in order, a few seconds after its sound has come.

    What is heard does not depend on how the sound is cut to parts.

    Args:
        sound: parts of it, mono at 16 kHz, each of shape (samples,).
        recogniser: hears the words.
        voices: tell how each line sounds, where its speaker is to be told.

    Raises:
        MediaError: the sound breaks off with it, after the lines before that.
    """
    kept, start, loudest = np.zeros(0, np.float32), 0.0, HUSH / LEAST_SHARE
    for block, last in _blocks(sound):
        kept = np.concatenate([kept, block])
        loudest = max(loudest, float(np.abs(block).max(initial=0)))
        spans = [*short_spans(kept, loud_spans(kept, LEAST_SHARE * loudest), LONGEST_LINE)]
        length = len(kept) / RATE
        ended = spans if last else [span for span in spans if span.end < length - OPEN]
        for line in _heard(kept, ended, recogniser):
            words = tuple(replace(word, start=word.start + start, end=word.end + start) for word in line.words)
            own = kept[round(line.start * RATE) : round(line.end * RATE)]
            voice = None if voices is None else voices.of(own)
            yield replace(line, start=line.start + start, end=line.end + start, words=words, voice=voice)
        # What is not over stays, with the silence before it.
        first = max(spans[len(ended)].start - MARGIN, 0.0) if len(spans) > len(ended) else length - OPEN
        cut = round(max(first, ended[-1].end if ended else 0.0) * RATE)
        kept, start = kept[cut:], start + cut / RATE


def _blocks(sound: Iterable[Sound]) -> Iterator[tuple[Sound, bool]]:
    """Blocks of one length, and whether it is the last, which may be shorter."""
    parts: list[Sound] = []
    count, size = 0, round(BLOCK * RATE)
    failure: MediaError | None = None
    try:
        for part in sound:
            parts.append(part)
            count += len(part)
            if count > size:  # more than a block, so that the last is known as such
                whole = np.concatenate(parts)
                while len(whole) > size:
                    yield whole[:size], False
                    whole = whole[size:]
                parts, count = [whole], len(whole)
    except MediaError as error:  # what came before is heard, too
        failure = error
    yield np.concatenate([np.zeros(0, np.float32), *parts]), True
    if failure is not None:
        raise failure


def _heard(samples: Sound, spans: list[SpeechSpan], recogniser: Recogniser) -> Iterator[HeardLine]:
    """The spans with their words. Several are recognised together, which tells the words better than each alone."""
    parts = speech_parts(samples, spans, LONGEST)
    for part, row in zip(parts, words_of(recogniser, parts) if parts else [], strict=True):
        own = [span for span in spans if part.speech.start <= span.start and span.end <= part.speech.end]
        words: dict[SpeechSpan, list[Word]] = {span: [] for span in own}
        for word in [] if isinstance(row, Cause) else row:
            middle = (word.start + word.end) / 2
            nearest = min(own, key=lambda span: max(span.start - middle, middle - span.end, 0.0))
            words[nearest].append(_inside(word, nearest))
        reason = str(row if isinstance(row, Cause) else Cause(Reason.UNCLEAR))
        for span, some in words.items():
            yield from _sentences(span, some) if some else [HeardLine(span.start, span.end, (), reason)]


def _sentences(span: SpeechSpan, words: list[Word]) -> Iterator[HeardLine]:
    """A span, cut where a sentence begins at once after another, as where speakers take turns without a pause."""
    start, own = span.start, [words[0]]
    for before, word in pairwise(words):
        ends = before.text.endswith(ENDINGS) and min(word.start - start, span.end - word.start) >= LEAST_SENTENCE
        if ends:
            yield HeardLine(start, word.start, tuple(own))
            start, own = word.start, []
        own.append(word)
    yield HeardLine(start, span.end, tuple(own))


def _inside(word: Word, span: SpeechSpan) -> Word:
    start, end = (min(max(time, span.start), span.end) for time in (word.start, word.end))
    return replace(word, start=start, end=end)
