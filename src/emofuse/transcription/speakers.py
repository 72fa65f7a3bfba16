"""Who says which line of a film: lines whose voices are alike are one speaker's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, fcluster, linkage
from scipy.spatial.distance import cdist, pdist

from emofuse.core.errors import EncoderError
from emofuse.core.hub import hub_place, loading
from emofuse.core.linear import through_onednn
from emofuse.features.audio.sound import Sound as Frames
from emofuse.transcription.recogniser import Sound
from emofuse.transcription.voice_activity import RATE
from emofuse.transcription.words import HeardLine

HAND_MADE = "hand-made sound features"  # what tells voices apart where no model is named
LEAST = 1.0  # seconds: shorter lines say too little of a voice, and join the speaker who is nearest
N_MFCC = 13
STEADY = 0.2  # what each correlation matrix gets on its diagonal, so that few frames leave it regular
# Measured on four actors, others than those of the figures in docs/transcription.md. Ward's distances grow with the
# square root of the number of lines, and so does this.
HAND_MADE_DISTANCE = 1.0
# One less the cosine above which transformers' documentation takes two voices for one (WavLMForXVector).
MODEL_DISTANCE = 0.14

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Voices:
    """How voices are told apart.

    Attributes:
        name: of who does it.
        vector: of a sound, mono at 16 kHz, shape (samples,).
        metric: by which vectors are compared.
        linkage: of two groups of them, as scipy has it.
        distance: from which on two groups are two speakers; for ward, times the square root of the number of lines.
    """

    name: str
    vector: Callable[[Sound], Array]
    metric: Literal["euclidean", "cosine"]
    linkage: Literal["ward", "average"]
    distance: float

    def of(self, sound: Sound) -> Array | None:
        """The vector of a sound, shape (d,); None where its model fails on it, as where memory is bounded."""
        try:
            return self.vector(sound)
        except (RuntimeError, ValueError):
            return None


def load_voices(name: str | None, device: str) -> Voices:
    """Load what tells voices apart.

    Args:
        name: of any model that transformers' AutoModelForAudioXVector loads, on the hub or in a folder; None for
            hand-made sound features.
        device: `cpu` or `cuda`, for a model.

    Raises:
        EncoderError: there is no such model, or it can't be loaded or run.
    """
    if name is None:
        return Voices(HAND_MADE, correlations, "euclidean", "ward", HAND_MADE_DISTANCE)
    voices = Voices(name, _model_vector(name, device), "cosine", "average", MODEL_DISTANCE)
    try:
        voices.vector(np.random.default_rng(0).normal(0, 0.01, RATE).astype(np.float32))
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = (str(error).splitlines() or [type(error).__name__])[0]
        raise EncoderError(f"serve.speakers {name!r} can't be run: {problem}; expected a model of speakers") from error
    return voices


def correlations(sound: Sound) -> Array:
    """How the MFCC of the frames with speech go together: the logarithm of their correlation matrix, as a vector.

    The mean and the spread of each, which the microphone and the emotion change, are left out. Covariances as a model
    of the speaker: Bimbot, Magrin-Chagnolleau and Mathan, Speech Communication 17, 1995; their logarithm makes
    distances of them: Arsigny and others, Magnetic Resonance in Medicine 56, 2006.

    Returns:
        Shape (d,), d = (N_MFCC - 1) * N_MFCC / 2.
    """
    frames = Frames(sound, RATE, N_MFCC)
    contours = frames.mfcc[1:, frames.speech].astype(np.float64)  # the first is the level
    contours -= contours.mean(axis=1, keepdims=True)
    contours /= np.maximum(contours.std(axis=1, keepdims=True), 1e-6)
    values, vectors = np.linalg.eigh(contours @ contours.T / contours.shape[1] + STEADY * np.eye(len(contours)))
    logarithm = (vectors * np.log(values)) @ vectors.T
    rows, columns = np.triu_indices(len(logarithm))
    vector: Array = logarithm[rows, columns] * np.where(rows == columns, 1.0, np.sqrt(2))
    return vector


def _model_vector(name: str, device: str) -> Callable[[Sound], Array]:
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioXVector
    from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_XVECTOR_MAPPING_NAMES
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    place, revision = hub_place(name)
    with loading("serve.speakers", name, "null, "):
        config = AutoConfig.from_pretrained(place, revision=revision)
        own = MODEL_FOR_AUDIO_XVECTOR_MAPPING_NAMES.get(config.model_type)
        if own not in (config.architectures or ()):
            raise EncoderError(
                f"serve.speakers {name!r} is a {', '.join(config.architectures or [config.model_type])}; expected a "
                "model of speakers (an x-vector), such as microsoft/wavlm-base-plus-sv"
            )
        # Weights are read from safetensors alone: a pickle would run code of whoever made it.
        model = AutoModelForAudioXVector.from_pretrained(place, revision=revision, use_safetensors=True)
        reader = AutoFeatureExtractor.from_pretrained(place, revision=revision)
    model = through_onednn(model.eval().to(device))

    @torch.inference_mode()
    def vector(sound: Sound) -> Array:
        """The model's embedding, shape (d,), of a sound, shape (samples,), mono at 16 kHz."""
        long_enough = np.resize(sound, max(len(sound), round(LEAST * RATE)))  # again and again, for its convolutions
        given: dict[str, Any] = reader(long_enough, sampling_rate=RATE, return_tensors="pt")
        inputs = {key: value.to(model.device) for key, value in given.items()}
        embedding: Array = model(**inputs).embeddings[0].double().cpu().numpy()
        return embedding

    return vector


def with_speakers(lines: Sequence[HeardLine], voices: Voices, count: int | None = None) -> list[HeardLine]:
    """The lines with their speakers, `speaker 1` and so on in order of appearance.

    Args:
        lines: of a whole film, with their voices; one without is said by who says the line before it.
        voices: told how they sound.
        count: how many speakers there are; None where the voices decide.
    """
    voiced = [line for line in lines if line.voice is not None]
    vectors = np.array([line.voice for line in voiced])
    seconds = np.array([line.end - line.start for line in voiced])
    numbers, number, speakers = iter(group_voices(vectors, seconds, voices, count)), 1, []
    for line in lines:
        number = number if line.voice is None else next(numbers)
        speakers.append(replace(line, speaker=f"speaker {number}"))
    return speakers


def group_voices(vectors: Array, seconds: Array, voices: Voices, count: int | None = None) -> list[int]:
    """The number of each line's speaker, from 1, in order of appearance.

    Args:
        vectors: of n lines, shape (n, d).
        seconds: that each lasts, shape (n,).
        voices: gave the vectors.
        count: as in `with_speakers`.
    """
    if len(vectors) < 2:
        return [1] * len(vectors)
    if voices.metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    long = seconds >= LEAST
    if long.sum() < max(2, count or 0):
        long[:] = True
    # A model may give zeros, which have no direction: as far from all others as can be told.
    apart = np.nan_to_num(pdist(vectors[long], voices.metric), nan=1.0)
    tree = linkage(apart, voices.linkage)
    if count is None:
        scale = np.sqrt(long.sum()) if voices.linkage == "ward" else 1.0
        labels = fcluster(tree, voices.distance * scale, "distance") - 1
    else:
        labels = cut_tree(tree, min(count, int(long.sum()))).ravel()
    centres = np.array([vectors[long][labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    nearest = cdist(vectors, centres).argmin(axis=1)
    nearest[long] = labels
    order = {label: number for number, label in enumerate(dict.fromkeys(nearest.tolist()), 1)}
    return [order[label] for label in nearest.tolist()]
