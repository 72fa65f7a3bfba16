"""Sounds as a pretrained network hears them: its hidden states, and its own classes where it is a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emofuse.core.device import pick_device
from emofuse.core.errors import EncoderError
from emofuse.core.hub import hub_place, loading
from emofuse.core.linear import through_onednn
from emofuse.core.params import EMBEDDED, AudioParams
from emofuse.features.audio.sound import FAINT, SPEECH_DECIBELS
from emofuse.features.audio.whisper import SAMPLES_A_POSITION, packaged_encoder, whisper_states
from emofuse.features.contract import FeatureGroup
from emofuse.features.pretrained import class_group, layer_numbers, own_labels

Array = NDArray[np.float32]
INPUTS = ("input_values", "input_features")  # what models of sounds read
STEP = 0.5  # seconds: sounds are lengthened with silence to multiples of this, so that batches are of one length
LONGEST = 30.0  # seconds that a model is given at a time, as many as Whisper takes
BATCH = 64.0  # seconds of sound that a GPU is given at a time
POOLED = {"mean": "mean", "std": "standard deviation", "loud": "mean where the sound is loud"}


@dataclass(frozen=True, eq=False)
class SoundEncoder:
    """A pretrained encoder or classifier of sounds.

    Attributes:
        model: in evaluation mode.
        reader: makes its input of samples.
        labels: its own classes; none where it is no classifier.
        whole: samples that it must be given whatever the sound's length; 0 where it takes sounds as they are.
        timed: whether its states follow the sound; else they are of no certain time and all are pooled.
        widths: of the hidden states of each layer, the embeddings first.
    """

    model: Any
    reader: Any
    labels: tuple[str, ...]
    whole: int
    timed: bool = True
    widths: tuple[int, ...] = ()

    @property
    def rate(self) -> int:
        """Of the samples, in Hz."""
        return int(self.reader.sampling_rate)

    def length(self, samples: int) -> int:
        """To how many samples a sound is lengthened."""
        step = round(STEP * self.rate)
        return max(self.whole, -(-samples // step) * step)

    @torch.inference_mode()
    def states(self, sounds: Sequence[Array]) -> tuple[list[Tensor], Tensor | None]:
        """The hidden states of each layer for n sounds of one length, and the probabilities of the classes.

        Args:
            sounds: mono at `rate`, each of shape (samples,).

        Returns:
            Tensors of shape (n, positions, width), one a layer, and one of shape (n, classes), or None.
        """
        own_length = {"padding": False} if self.model.config.model_type == "whisper" else {}  # it pads to 30 s
        given = self.reader(list(sounds), sampling_rate=self.rate, return_tensors="pt", **own_length)
        first = next(self.model.parameters())
        values = given[self.model.main_input_name].to(first.device, first.dtype)
        if own_length and not self.labels:
            answer = whisper_states(self.model, values, output_hidden_states=True)
        else:
            answer = self.model(values, output_hidden_states=True)
        return list(answer.hidden_states), answer.logits.float().softmax(dim=1) if self.labels else None


@cache
def sound_encoder(name: str, precision: str, assets: Path | None) -> SoundEncoder:
    """Load an encoder by transformers' Auto classes, once a process.

    Args:
        name: `embedded`, a local folder, or a name on the model hub.
        precision: `fp32` or `bf16`.
        assets: folder of a bundle that may hold the embedded encoder's weights.

    Raises:
        EncoderError: there is no such encoder, it hears no sounds, or it can't be loaded or run.
    """
    model, reader, classifier = _packaged(assets) if name == EMBEDDED else _downloaded(name)
    model = through_onednn(model.eval().to(pick_device(), torch.bfloat16 if precision == "bf16" else torch.float32))
    config = model.config
    labels = own_labels(config) if classifier else ()
    # A classifier has learnt what the silence up to 30 s adds to its mean; an encoder's states do without it.
    whole = config.max_source_positions * SAMPLES_A_POSITION if config.model_type == "whisper" and classifier else 0
    encoder = SoundEncoder(model, reader, labels, whole)
    try:
        silences = [np.zeros(encoder.length(seconds * encoder.rate), np.float32) for seconds in (1, 2)]
        short, long = (encoder.states([silence])[0] for silence in silences)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise EncoderError(
            f"audio.encoder {name!r} can't be run: {problem}; expected a model that hears sounds, such as wav2vec2, "
            "HuBERT, WavLM, Whisper or an audio classifier"
        ) from error
    timed = bool(whole) or short[0].shape[1] < long[0].shape[1]
    return replace(encoder, timed=timed, widths=tuple(state.shape[2] for state in short))


def _packaged(assets: Path | None) -> tuple[Any, Any, bool]:
    from transformers import WhisperFeatureExtractor

    return packaged_encoder(assets), WhisperFeatureExtractor(), False


def _downloaded(name: str) -> tuple[Any, Any, bool]:
    """Model, processor, and whether it is a classifier."""
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification
    from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    others = f"none, {EMBEDDED!r}, "
    place, revision = hub_place(name)
    with loading("audio.encoder", name, others):
        config = AutoConfig.from_pretrained(place, revision=revision)
        own = MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES.get(config.model_type)
        classifier = own in (config.architectures or ())
        # Weights are read from safetensors alone: a pickle would run code of whoever made it.
        kind = AutoModelForAudioClassification if classifier else AutoModel
        model = kind.from_pretrained(place, revision=revision, use_safetensors=True)
    if config.is_encoder_decoder and not classifier:
        model = model.get_encoder()
    if model.main_input_name not in INPUTS:
        raise EncoderError(
            f"audio.encoder {name!r} is a {type(model).__name__}, which reads {model.main_input_name}; expected a "
            "model that hears sounds, such as wav2vec2, HuBERT, WavLM, Whisper or an audio classifier"
        )
    with loading("audio.encoder", name, others):
        reader = AutoFeatureExtractor.from_pretrained(place, revision=revision)
    return model, reader, classifier


def sound_groups(params: AudioParams, assets: Path | None = None) -> tuple[FeatureGroup, ...]:
    """The groups of columns that the encoder gives: of the chosen layers, and of its own classes.

    Raises:
        EncoderError: there is no such encoder or layer, or no layer is chosen of one that has no classes.
    """
    encoder = sound_encoder(params.encoder, params.precision, assets)
    formula = "the probability of each of the encoder's own classes"
    classes = (class_group("classes", "sound_class", encoder.labels, formula, params.encoder),) * bool(encoder.labels)
    layers = _layers(params, encoder)
    return (_embedding(params, encoder, layers), *classes) if layers else classes


def _embedding(params: AudioParams, encoder: SoundEncoder, layers: Sequence[int]) -> FeatureGroup:
    blocks = [(f"sound_l{layer:02d}", encoder.widths[layer]) for layer in layers]
    if params.combine == "average":
        widths = {width for _, width in blocks}
        if len(widths) > 1:
            raise EncoderError(
                f"audio.combine is average, but the layers {layers} of {params.encoder!r} are {sorted(widths)} wide; "
                "set it to concat, or choose layers of one width"
            )
        blocks = [("sound", encoder.widths[layers[0]])]
    pooled = ", ".join(POOLED[pooling] for pooling in params.pooling)
    chosen = "each chosen layer" if params.combine == "concat" else "the chosen layers' average"
    return FeatureGroup(
        "embedding",
        tuple(
            f"{block}_{way}_{index:04d}" for block, width in blocks for way in params.pooling for index in range(width)
        ),
        f"over time, of the hidden states of {chosen} of the encoder: {pooled}; layer 0 is the embeddings, loud is "
        f"what is within {SPEECH_DECIBELS:g} dB of the loudest",
        "1",
        f"transformers, {params.encoder}",
    )


def _layers(params: AudioParams, encoder: SoundEncoder) -> list[int]:
    return layer_numbers("audio.layers", params.layers, params.encoder, len(encoder.widths), bool(encoder.labels))


def encoded_sounds(sounds: Sequence[Array], params: AudioParams, assets: Path | None = None) -> list[Array]:
    """The columns of `sound_groups` for n sounds, the same whatever the others are.

    What is longer than 30 s is cut to equal parts, whose columns are averaged.

    Args:
        sounds: mono at the encoder's rate, each of shape (samples,).
        params: which encoder, layers and pooling.
        assets: as in `sound_encoder`.
    """
    encoder = sound_encoder(params.encoder, params.precision, assets)
    longest = round(LONGEST * encoder.rate)
    parts = [np.array_split(sound, -(-len(sound) // longest)) for sound in sounds]
    flat = [part for own in parts for part in own]
    rows: dict[int, Array] = {}
    lengths = [encoder.length(len(part)) for part in flat]
    for length, numbers in groupby(sorted(range(len(flat)), key=lengths.__getitem__), lengths.__getitem__):
        same, size = list(numbers), _batch(length / encoder.rate)
        for start in range(0, len(same), size):
            batch = same[start : start + size]
            rows |= zip(batch, _vectors([flat[number] for number in batch], length, size, encoder, params), strict=True)
    vectors = iter(rows[number] for number in range(len(flat)))
    return [np.mean([next(vectors) for _ in own], axis=0, dtype=np.float32) for own in parts]


def _batch(seconds: float) -> int:
    """How many sounds of a length are run at a time, always so many: kernels are chosen by the shape, and round so.

    A processor is given one: more are no faster there.
    """
    return max(1, int(BATCH / seconds)) if pick_device() == "cuda" else 1


def _vectors(
    sounds: Sequence[Array], length: int, size: int, encoder: SoundEncoder, params: AudioParams
) -> Iterator[Array]:
    """The columns of at most `size` sounds that are lengthened to one length."""
    padded = [np.pad(sound, (0, length - len(sound))) for sound in sounds]
    layers, classes = encoder.states([*padded, *padded[:1] * (size - len(padded))])
    chosen = [layers[layer] for layer in _layers(params, encoder)]
    for number, sound in enumerate(sounds):
        combined = []
        if chosen:
            positions = chosen[0].shape[1]
            loud = torch.from_numpy(_loud(sound, length, positions) if encoder.timed else np.ones(positions, bool))
            pooled = [_pooled(state[number].float(), loud.to(state.device), params) for state in chosen]
            combined = [torch.cat(pooled) if params.combine == "concat" else torch.stack(pooled).mean(dim=0)]
        yield torch.cat([*combined, *([] if classes is None else [classes[number]])]).cpu().numpy()


def _pooled(state: Tensor, loud: Tensor, params: AudioParams) -> Tensor:
    """The hidden states of a sound, shape (positions, width), of which `loud` has those that the sound lasts."""
    own = state[: len(loud)]
    ways = {
        "mean": lambda: own.mean(dim=0),
        "std": lambda: own.std(dim=0, correction=0),
        "loud": lambda: own[loud].mean(dim=0),
    }
    return torch.cat([ways[way]() for way in params.pooling])


def _loud(sound: Array, length: int, positions: int) -> NDArray[np.bool_]:
    """Which of the positions that a sound lasts, of all that it and the silence after it have, are loud."""
    own = max(1, -(-len(sound) * positions // length))
    edges = np.arange(own) * length // positions
    power = np.add.reduceat(sound.astype(np.float64) ** 2, edges) / np.diff([*edges, len(sound)])
    level = 10 * np.log10(np.maximum(power, FAINT))
    loud: NDArray[np.bool_] = level >= level.max() - SPEECH_DECIBELS
    return loud
