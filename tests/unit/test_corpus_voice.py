"""The voices of the built-in corpus, judged by what their sound measures."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from demo_corpus.cast import CAST, Speaker
from demo_corpus.espeak import SAMPLE_RATE, Delivery, speak
from demo_corpus.voice import FRAME_RATE, PROSODY, Sound, loudness, say
from emofuse.core.errors import EmofuseError

LINE = "The bus to the harbour leaves tomorrow morning."


def spoken(emotion: str, speaker: int = 0) -> list[Sound]:
    return [say(LINE, CAST[speaker], emotion, np.random.default_rng(seed)) for seed in range(4)]


def level(sounds: list[Sound]) -> float:
    return float(np.mean([np.sqrt(np.mean(sound.samples**2)) for sound in sounds]))


def length(sounds: list[Sound]) -> float:
    return float(np.mean([sound.frames / FRAME_RATE for sound in sounds]))


def centroid(sounds: list[Sound]) -> float:
    spectra = [np.abs(np.fft.rfft(sound.samples)) ** 2 for sound in sounds]
    return float(np.mean([np.average(np.arange(len(power)) / len(power), weights=power) for power in spectra]))


def pitch(sound: Sound) -> float:
    """Median fundamental frequency in Hz of the loud parts, from the peak of the autocorrelation."""
    found, window = [], 1024
    for start in range(0, len(sound.samples) - window, window):
        part = sound.samples[start : start + window].astype(float)
        if np.sqrt(np.mean(part**2)) > 0.5 * np.sqrt(np.mean(sound.samples**2)):
            peaks = np.correlate(part, part, "full")[window - 1 :]
            low, high = SAMPLE_RATE // 400, SAMPLE_RATE // 70
            found.append(SAMPLE_RATE / (low + int(np.argmax(peaks[low:high]))))
    return float(np.median(found))


def test_anger_is_louder_than_sadness() -> None:
    assert level(spoken("anger")) > 2 * level(spoken("sadness"))


def test_anger_is_brighter_than_sadness() -> None:
    assert centroid(spoken("anger")) > 1.3 * centroid(spoken("sadness"))


def test_sadness_is_slower_than_fear() -> None:
    assert length(spoken("sadness")) > 1.2 * length(spoken("fear"))


def test_surprise_is_higher_than_sadness() -> None:
    high, low = ([pitch(sound) for sound in spoken(emotion)] for emotion in ("surprise", "sadness"))
    assert np.mean(high) > 1.15 * np.mean(low)


def test_speakers_differ_in_pitch() -> None:
    pitches = [pitch(spoken("neutral", speaker)[0]) for speaker in range(len(CAST))]
    assert max(pitches) > 1.3 * min(pitches)


@pytest.mark.parametrize("speaker", CAST, ids=lambda speaker: speaker.name)
def test_a_sentence_sounds_the_same_after_any_other(speaker: Speaker) -> None:
    first = speak(LINE, Delivery(speaker.voice, 165, 50, 50))
    speak("Something else.", Delivery("en-us+m7", 210, 70, 90))
    assert np.array_equal(first, speak(LINE, Delivery(speaker.voice, 165, 50, 50)))


@pytest.mark.parametrize("emotion", PROSODY)
def test_sound_lasts_as_long_as_its_pictures(emotion: str) -> None:
    for text in ("Oh.", LINE * 4):
        sound = say(text, CAST[1], emotion, np.random.default_rng(0))
        assert 1.0 <= sound.frames / FRAME_RATE <= 6.0
        assert 0 <= sound.frames / FRAME_RATE - len(sound.samples) / SAMPLE_RATE < 1 / SAMPLE_RATE


def test_loudness_follows_the_sound() -> None:
    samples = np.concatenate([np.zeros(SAMPLE_RATE), np.full(SAMPLE_RATE, 0.5)]).astype(np.float32)
    values = loudness(Sound(samples, 2 * FRAME_RATE))
    assert values.shape == (2 * FRAME_RATE,)
    assert values[: FRAME_RATE - 1].max() == 0
    assert values[FRAME_RATE + 1 : -1].min() == 1


def test_without_espeak_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EmofuseError, match=r"\.\[corpus\]"):
        speak(LINE, Delivery("en-us", 165, 50, 50))


def test_an_unknown_voice_is_refused() -> None:
    with pytest.raises(EmofuseError, match="no voice 'xx-nowhere'"):
        speak(LINE, Delivery("xx-nowhere", 165, 50, 50))
