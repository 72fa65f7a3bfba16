"""How an emotion sounds: rate, pitch, pitch range, loudness, brightness, trembling and roughness of the voice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo_corpus.cast import Speaker
from demo_corpus.espeak import SAMPLE_RATE, Delivery, speak

FRAME_RATE = 24
"""Pictures a second."""
LEAST_SECONDS, MOST_SECONDS = 1.0, 6.0
# Lengths are whole numbers of three frames, 125 ms: exact in milliseconds, as the tables give them.
STEP_FRAMES = 3

_NOISE_DB = -62.0


@dataclass(frozen=True)
class Prosody:
    """Leanings of a voice. `rate` in words a minute, `pitch` added to the speaker's, `level` in dB of full scale.

    `tilt` brightens (positive) or dulls the sound, in dB an octave; `tremble` and `rough` are depths of slow and fast
    changes of loudness.
    """

    rate: float
    pitch: float
    pitch_range: float
    level: float
    tilt: float = 0.0
    tremble: float = 0.0
    rough: float = 0.0


PROSODY = {
    "neutral": Prosody(165, 0, 42, -24),
    "joy": Prosody(180, 13, 80, -20, tilt=1.5),
    "surprise": Prosody(150, 24, 99, -20, tilt=0.5),
    "anger": Prosody(188, 2, 58, -15, tilt=3.5),
    "sadness": Prosody(124, -12, 14, -30, tilt=-4.0),
    "disgust": Prosody(136, -10, 36, -22, tilt=-1.2, rough=0.55),
    "fear": Prosody(205, 24, 22, -26, tilt=0.8, tremble=0.55),
}


@dataclass(frozen=True)
class Sound:
    """A sound track: mono samples between -1 and 1 at `SAMPLE_RATE`, and the number of pictures it lasts."""

    samples: NDArray[np.float32]
    frames: int


def say(text: str, speaker: Speaker, emotion: str, rng: np.random.Generator) -> Sound:
    """Speak a line with a little silence before and after, 1 to 6 s in all."""
    lean = PROSODY[emotion]
    speech = _synthesise(text, speaker, lean, rng)
    head = rng.uniform(0.10, 0.25)
    seconds = min(max(head + len(speech) / SAMPLE_RATE + rng.uniform(0.15, 0.35), LEAST_SECONDS), MOST_SECONDS)
    frames = STEP_FRAMES * int(seconds * FRAME_RATE / STEP_FRAMES)
    samples = np.zeros(frames * SAMPLE_RATE // FRAME_RATE)
    start = int(head * SAMPLE_RATE)
    speech = speech[: len(samples) - start]
    # A tenth of a second of fading, so that a line cut at the greatest length does not click.
    fade = min(len(speech), SAMPLE_RATE // 10)
    speech[len(speech) - fade :] *= np.linspace(1.0, 0.0, fade)
    samples[start : start + len(speech)] = speech
    samples += rng.normal(0.0, 10 ** ((_NOISE_DB + rng.uniform(-4, 4)) / 20), len(samples))
    return Sound(np.clip(samples, -0.98, 0.98).astype(np.float32), frames)


def loudness(sound: Sound) -> NDArray[np.float64]:
    """Root mean square of the sound during each picture, smoothed, 0 to 1 of the line's own loud parts: `(frames,)`."""
    edges = np.arange(sound.frames + 1) * len(sound.samples) // sound.frames
    power = np.add.reduceat(sound.samples.astype(np.float64) ** 2, edges[:-1]) / np.diff(edges)
    level = np.convolve(np.sqrt(power), [0.25, 0.5, 0.25], mode="same")
    return np.clip(level / max(float(np.quantile(level, 0.92)), 1e-6), 0.0, 1.0)


def _synthesise(text: str, speaker: Speaker, lean: Prosody, rng: np.random.Generator) -> NDArray[np.float64]:
    delivery = Delivery(
        speaker.voice,
        rate=int(lean.rate * speaker.pace * rng.uniform(0.92, 1.08)),
        pitch=int(np.clip(speaker.pitch + lean.pitch + rng.normal(0, 4), 0, 99)),
        pitch_range=int(np.clip(lean.pitch_range + rng.normal(0, 8), 0, 99)),
    )
    speech = speak(text, delivery) / 32768.0
    speech = _tilted(speech, lean.tilt + rng.normal(0, 0.8))
    seconds = np.arange(len(speech)) / SAMPLE_RATE
    speech *= 1 + lean.tremble * np.sin(2 * np.pi * 6.5 * seconds + rng.uniform(0, 6))
    speech *= 1 + lean.rough * np.sign(np.sin(2 * np.pi * 38 * seconds + rng.uniform(0, 6)))
    level = lean.level + rng.normal(0, 2.0)
    return np.asarray(speech / max(float(np.sqrt(np.mean(speech**2))), 1e-9) * 10 ** (level / 20))


def _tilted(speech: NDArray[np.float64], tilt: float) -> NDArray[np.float64]:
    # Around 500 Hz, where speech has most of its energy; held below 100 Hz, so that no rumble is raised.
    size = 1 << len(speech).bit_length()  # a power of two is several times faster
    octaves = np.log2(np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 100.0) / 500.0)
    return np.fft.irfft(np.fft.rfft(speech, size) * 10 ** (tilt * octaves / 20), size)[: len(speech)]
