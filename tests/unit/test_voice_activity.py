from __future__ import annotations

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from silero_vad.utils_vad import get_speech_timestamps_from_probs

from emofuse.core.errors import EncoderError
from emofuse.core.weights import PackagedWeights
from emofuse.media.clip import FileClip
from emofuse.transcription import voice_activity
from emofuse.transcription.voice_activity import RATE, SpeechSpan, speech_probabilities, speech_spans

LAYERS = {"stft.forward_basis_buffer": "stft_conv.weight"}
LAYERS |= {f"encoder.{n}.reparam_conv.{part}": f"conv{n + 1}.{part}" for n in range(4) for part in ("weight", "bias")}
LAYERS |= {
    f"decoder.rnn.{part}_{gate}": f"lstm_cell.{part}_{gate}" for part in ("weight", "bias") for gate in ("ih", "hh")
}
LAYERS |= {f"decoder.decoder.2.{part}": f"final_conv.{part}" for part in ("weight", "bias")}


@pytest.fixture(scope="module")
def reference() -> Any:
    """The network of the package's own code, with the weights of its safetensors file, which are of another release."""
    spec = find_spec("silero_vad")
    assert spec is not None and spec.origin is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out
        network = torch.jit.load(Path(spec.origin).parent / "data" / "silero_vad.jit")
    weights = voice_activity.load_network().state_dict()
    for theirs, value in network._model.state_dict().items():
        value.copy_(weights[LAYERS[theirs]])
    return network


@pytest.fixture(scope="module")
def speech(corpus: Path) -> list[np.ndarray]:
    return [FileClip(path).sound(RATE) for path in sorted(corpus.rglob("*.mp4"))[:4]]


def dialogue(speech: list[np.ndarray], pause: float) -> np.ndarray:
    quiet = np.zeros(round(pause * RATE), np.float32)
    return np.concatenate([part for sound in speech for part in (quiet, sound)])[:-77]


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.7])
def test_probabilities_are_those_of_the_published_network(
    reference: Any, speech: list[np.ndarray], pause: float
) -> None:
    sound = dialogue(speech, pause)
    theirs = reference.audio_forward(torch.from_numpy(sound)[None], RATE)[0].numpy()
    assert speech_probabilities(sound) == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.12, 0.7])
def test_spans_are_those_that_the_published_code_makes_of_the_probabilities(
    speech: list[np.ndarray], pause: float
) -> None:
    sound = dialogue(speech, pause)
    spans = [(round(span.start * RATE), round(span.end * RATE)) for span in speech_spans(sound)]
    theirs = get_speech_timestamps_from_probs(speech_probabilities(sound).tolist(), audio_length_samples=len(sound))
    assert spans == [(part["start"], part["end"]) for part in theirs] and spans


@pytest.mark.parametrize("seed", range(20))
def test_spans_of_any_probabilities_are_the_published_ones(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(seed)
    probabilities = np.repeat(draw.random(60), draw.integers(1, 12, 60)).astype(np.float32)
    sound = np.zeros(len(probabilities) * 512 - int(draw.integers(0, 512)), np.float32)
    monkeypatch.setattr(voice_activity, "speech_probabilities", lambda samples: probabilities)
    theirs = get_speech_timestamps_from_probs(probabilities.tolist(), audio_length_samples=len(sound))
    spans = [(round(span.start * RATE), round(span.end * RATE)) for span in speech_spans(sound)]
    assert spans == [(part["start"], part["end"]) for part in theirs]


def test_a_long_sound_is_worked_on_in_parts_without_a_difference(
    speech: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = dialogue(speech, 0.3)
    whole = speech_probabilities(sound)
    monkeypatch.setattr(voice_activity, "AT_ONCE", 7)
    assert speech_probabilities(sound) == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("sound", ["none", "silence", "noise", "hiss", "hum", "pulses", "tone"])
def test_what_is_no_speech_has_no_spans(sound: str) -> None:
    times = np.arange(4 * RATE) / RATE
    noise = np.random.default_rng(3).normal(size=len(times))
    sounds = {
        "none": times[:0],
        "silence": 0 * times,
        "noise": 0.3 * noise,
        "hiss": 0.001 * noise,
        "hum": 0.3 * np.sin(2 * np.pi * 50 * times) + 0.1 * np.sin(2 * np.pi * 150 * times),
        "pulses": 0.2 * noise * (1 + np.sin(2 * np.pi * 4 * times)),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * times),
    }
    assert speech_spans(sounds[sound].astype(np.float32)) == []


def test_a_fifth_of_a_second_of_speech_is_none(speech: list[np.ndarray]) -> None:
    [first, *_] = speech_spans(speech[0])
    start = round(first.start * RATE)
    assert speech_spans(speech[0][start : start + RATE // 5]) == []


def test_speech_is_where_it_was_put(speech: list[np.ndarray]) -> None:
    [alone, *_] = speech_spans(speech[0])
    sound = np.concatenate([np.zeros(5 * RATE, np.float32), speech[0]])
    [moved, *_] = speech_spans(sound)
    assert moved == SpeechSpan(pytest.approx(alone.start + 5, abs=0.1), pytest.approx(alone.end + 5, abs=0.1))


@pytest.mark.parametrize(("package", "remedy"), [("no_such_package", "\\.\\[transcribe\\]"), ("numpy", "reinstall")])
def test_missing_weights_are_named_with_what_to_install(
    package: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice_activity.load_network.cache_clear()
    weights = PackagedWeights(package, voice_activity.SILERO.file, "0" * 64, voice_activity.SILERO.remedy)
    monkeypatch.setattr(voice_activity, "SILERO", weights)
    with pytest.raises(EncoderError, match=remedy):
        speech_spans(np.zeros(RATE, np.float32))
