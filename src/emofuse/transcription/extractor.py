"""Transcripts as extraction makes them: the words of each utterance's sound, as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from emofuse.core.errors import MediaError
from emofuse.core.params import TextParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, Utterance
from emofuse.extraction.clips import clip_of
from emofuse.transcription.recogniser import Recogniser, Sound, load_recogniser
from emofuse.transcription.voice_activity import RATE, SpeechSpan, speech_spans
from emofuse.transcription.words import Word, pack_words

WINDOW = 64  # utterances whose sounds are held at a time, for batches of about the same length
MARGIN = 0.5  # seconds around speech that the recogniser is given too: with less it loses first words
LONGEST = 28.0  # seconds that it is given at a time
LOUDNESS = 0.5  # peak of the sound in which speech is looked for
HUSH = 1e-4  # peak amplitude under which a sound track holds nothing
QUIETEST = RATE // 20  # samples in which the quietest place to cut long speech is looked for


@dataclass(frozen=True)
class SpeechPart:
    """What the recogniser is given at a time: speech, and the sound around it from `start` in seconds."""

    speech: SpeechSpan
    start: float
    sound: Sound

    def time(self, seconds: float) -> float:
        """A word's time in the whole sound: no word is outside the speech."""
        return min(max(self.start + seconds, self.speech.start), self.speech.end)


class TranscriptExtractor:
    """Gives the words of each utterance's sound, packed by `pack_words`, or why there are none.

    Args:
        params: which recogniser, and the language.
        device: `cpu` or `cuda`.
    """

    names: tuple[str, ...] = ()

    def __init__(self, params: TextParams, device: str) -> None:
        self._params, self._device = params, device

    @cached_property
    def _recogniser(self) -> Recogniser:
        assert self._params.recogniser is not None
        return load_recogniser(self._params.recogniser, self._params.language, self._device)

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give the words of each utterance, in order."""
        done = dict(self.stream(utterances))
        for number in range(len(utterances)):
            yield done[number]

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        """Give the same, numbered; what is heard is the same whatever else is transcribed."""
        for start in range(0, len(utterances), WINDOW):
            opened = [_parts(utterance) for utterance in utterances[start : start + WINDOW]]
            parts = [part for parts, _ in opened for part in parts]
            words = iter(words_of(self._recogniser, parts) if parts else [])
            for number, (own, cause) in enumerate(opened, start):
                heard = [next(words) for _ in own]
                yield number, _row(own, heard, cause)

    def warm_up(self) -> None:
        """Load the recogniser, which runs once then."""
        assert self._recogniser


def hear_one(recogniser: Recogniser, utterance: Utterance) -> Extracted:
    """The words of one utterance's sound, as `TranscriptExtractor` gives them."""
    parts, cause = _parts(utterance)
    return _row(parts, words_of(recogniser, parts) if parts else [], cause)


def words_of(recogniser: Recogniser, parts: Sequence[SpeechPart]) -> list[list[Word] | Cause]:
    """The words of each part, at times in the whole sound, or why recognition failed.

    Where that of all together fails, each is recognised alone, so that it costs one alone.
    """
    sounds = [part.sound for part in parts]
    heard: list[list[Word] | Cause]
    try:
        heard = [*recogniser.recognise(sounds)]
    except (RuntimeError, ValueError):  # of torch and transformers; the recogniser has run well before
        heard = [_alone(recogniser, sound) for sound in sounds]
    return [
        row
        if isinstance(row, Cause)
        else [replace(word, start=part.time(word.start), end=part.time(word.end)) for word in row]
        for part, row in zip(parts, heard, strict=True)
    ]


def _alone(recogniser: Recogniser, sound: Sound) -> list[Word] | Cause:
    try:
        [words] = recogniser.recognise([sound])
    except (RuntimeError, ValueError) as error:
        return Cause(Reason.NOT_RECOGNISED, str(error).strip().partition("\n")[0])
    return words


def _parts(utterance: Utterance) -> tuple[list[SpeechPart], Cause | None]:
    """Parts of the sound with speech, each with its start in seconds, and why there are none or what is damaged."""
    with clip_of(utterance) as clip:
        if clip is None:
            return [], utterance.clip_reason
        try:
            samples = clip.sound(RATE)
        except MediaError as error:
            return [], error.cause
        parts = speech_parts(samples, loud_spans(samples), LONGEST)
        return parts, clip.damage.get("sound") if parts else Cause(Reason.NO_SPEECH)


def loud_spans(samples: Sound, least_peak: float = HUSH) -> list[SpeechSpan]:
    """Where there is speech in a sound that is made as loud as most speech is: else some from afar is not found.

    Args:
        samples: mono at 16 kHz, shape (samples,).
        least_peak: amplitude by which a sound is made louder at most; a track with none above `HUSH` holds nothing.
    """
    peak = float(np.abs(samples).max(initial=0))
    return speech_spans(samples * np.float32(LOUDNESS / max(peak, least_peak))) if peak > HUSH else []


def _row(parts: Sequence[SpeechPart], heard: Sequence[list[Word] | Cause], cause: Cause | None) -> Extracted:
    words: list[Word] = []
    for row in heard:
        if isinstance(row, Cause):
            return Extracted(None, row)
        words += row
    if words:
        return Extracted(pack_words(words), cause)
    return Extracted(None, Cause(Reason.UNCLEAR) if parts else cause)


def _sample(seconds: float) -> int:
    return round(seconds * RATE)


def speech_parts(samples: Sound, spans: Sequence[SpeechSpan], longest: float) -> list[SpeechPart]:
    """Spans of speech put together to parts; longer ones are cut.

    Args:
        samples: mono at 16 kHz, shape (samples,).
        spans: of the speech in them, by start.
        longest: seconds of a part with its margins.

    Returns:
        The parts, with margins that reach at most half way to the next.
    """
    parts: list[SpeechSpan] = []
    most = longest - 2 * MARGIN
    for span in short_spans(samples, spans, most):
        if parts and span.end - parts[-1].start <= most:
            parts[-1] = SpeechSpan(parts[-1].start, span.end)
        else:
            parts.append(span)
    ends = [-part.start for part in parts[:1]] + [part.end for part in parts]  # the first and last margins: to the ends
    starts = [part.start for part in parts[1:]] + [2 * len(samples) / RATE - part.end for part in parts[-1:]]
    wide = [
        SpeechSpan(max(part.start - MARGIN, (before + part.start) / 2), min(part.end + MARGIN, (part.end + after) / 2))
        for part, before, after in zip(parts, ends, starts, strict=False)
    ]
    return [
        SpeechPart(speech, around.start, samples[_sample(around.start) : _sample(around.end)])
        for speech, around in zip(parts, wide, strict=True)
    ]


def short_spans(samples: Sound, spans: Sequence[SpeechSpan], longest: float) -> Iterator[SpeechSpan]:
    """Spans of the speech in some samples, those that are longer than `longest` seconds cut."""
    for span in spans:
        yield from _pieces(samples, span, longest)


def _pieces(samples: Sound, span: SpeechSpan, longest: float) -> Iterator[SpeechSpan]:
    """A span, cut where its second half is quietest as long as it is longer."""
    start = span.start
    while span.end - start > longest:
        first = _sample(start + longest / 2)
        half = samples[first : _sample(start + longest)]
        count = len(half) // QUIETEST
        loudness = np.square(half[: count * QUIETEST].reshape(count, QUIETEST)).sum(axis=1)
        cut = (first + (int(loudness.argmin()) + 0.5) * QUIETEST) / RATE
        yield SpeechSpan(start, cut)
        start = cut
    yield SpeechSpan(start, span.end)
