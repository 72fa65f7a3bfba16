"""Faces as a pretrained network sees them: its hidden states, and its own classes where it is a classifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from emofuse.core.device import pick_device
from emofuse.core.errors import EncoderError
from emofuse.core.hub import hub_place, loading
from emofuse.core.linear import through_onednn
from emofuse.core.params import VisualParams
from emofuse.features.contract import FeatureGroup
from emofuse.features.pretrained import class_group, layer_numbers, own_labels
from emofuse.features.visual.alignment import FACE
from emofuse.features.visual.detectors import Gray
from emofuse.features.visual.face_tracks import Sighting, Track

POOLED = {"mean": "mean", "max": "maximum"}
_POOLING: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "mean": lambda rows: rows.mean(axis=0),
    "max": lambda rows: rows.max(axis=0),
}


@dataclass(frozen=True, eq=False)
class FaceEncoder:
    """A pretrained image encoder or classifier.

    Attributes:
        model: in evaluation mode.
        device: that it runs on.
        side: pixels of the pictures that it reads.
        mean: of each colour, as it was trained with, 0 to 1.
        std: likewise.
        labels: its own classes; none where it is no classifier.
        widths: of the hidden states of each layer, the embeddings first.
    """

    model: Any
    device: str
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[str, ...]
    widths: tuple[int, ...]

    @torch.inference_mode()
    def states(self, faces: Sequence[Gray]) -> tuple[list[NDArray[np.float32]], NDArray[np.float32] | None]:
        """The mean hidden state of each layer for n upright faces, and the probabilities of the classes.

        Returns:
            Arrays of shape (n, width), one a layer, and one of shape (n, classes), or None.
        """
        count = len(faces)
        if count == 1:  # oneDNN has other kernels for one picture
            faces = [*faces, *faces]
        kind = next(self.model.parameters()).dtype
        answer = self.model(pixel_values=self._pictures(faces).to(self.device, kind), output_hidden_states=True)
        layers = [_over_places(state).float().cpu().numpy()[:count] for state in answer.hidden_states]
        return layers, answer.logits.float().softmax(dim=1).cpu().numpy()[:count] if self.labels else None

    def _pictures(self, faces: Sequence[Gray]) -> torch.Tensor:
        size = (self.side, self.side)
        scaled = [cv2.resize(face, size, interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255 for face in faces]
        colours = [(np.stack(scaled) - mean) / std for mean, std in zip(self.mean, self.std, strict=True)]
        return torch.from_numpy(np.stack(colours, axis=1).astype(np.float32))


def _over_places(state: torch.Tensor) -> torch.Tensor:
    """The mean over the places of a picture: tokens (n, places, width), or a map (n, width, height, width)."""
    return state.flatten(2).mean(dim=2) if state.ndim == 4 else state.mean(dim=1)


@cache
def face_encoder(name: str, precision: str) -> FaceEncoder:
    """Load an encoder by transformers' Auto classes, once a process.

    Args:
        name: a local folder, or a name on the model hub.
        precision: `fp32` or `bf16`.

    Raises:
        EncoderError: there is no such encoder, it reads no pictures, or it can't be loaded.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForImageClassification
    from transformers.image_processing_base import ImageProcessingMixin
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    place, revision = hub_place(name)
    with loading("visual.encoder", name, "none, "):
        config = AutoConfig.from_pretrained(place, revision=revision)
        classifier = any(kind.endswith("ForImageClassification") for kind in config.architectures or ())
        reader, _ = ImageProcessingMixin.get_image_processor_dict(place, revision=revision)
        # Weights are read from safetensors alone: a pickle would run code of whoever made it.
        kind = AutoModelForImageClassification if classifier else AutoModel
        model = kind.from_pretrained(place, revision=revision, use_safetensors=True)
    model = getattr(model, "vision_model", model)  # of a model of pictures and texts, such as CLIP
    if model.main_input_name != "pixel_values":
        raise EncoderError(
            f"visual.encoder {name!r} is a {type(model).__name__}, which reads {model.main_input_name}; expected a "
            "model that reads pictures, such as a ViT, CLIP, DINOv2 or an image classifier"
        )
    device = pick_device()
    model = through_onednn(model.eval().to(device, torch.bfloat16 if precision == "bf16" else torch.float32))
    labels = own_labels(config) if classifier else ()
    mean, std = (tuple(reader.get(f"image_{what}") or (0.5,) * 3) for what in ("mean", "std"))
    encoder = FaceEncoder(model, device, _side(reader), mean, std, labels, ())
    states, _ = encoder.states([np.zeros((FACE, FACE), np.uint8)])
    return FaceEncoder(model, device, encoder.side, mean, std, labels, tuple(state.shape[1] for state in states))


def _side(reader: dict[str, Any]) -> int:
    """The side of a square picture that a processor's settings make; an upright face needs no cropping."""
    size = (reader.get("crop_size") if reader.get("do_center_crop") else None) or reader.get("size") or 224
    return int(size if isinstance(size, int) else size.get("height") or size.get("shortest_edge") or 224)


def encoder_groups(params: VisualParams) -> tuple[FeatureGroup, ...]:
    """The groups of columns that the encoder gives, of the chosen layers and of its own classes; none without encoder.

    Raises:
        EncoderError: there is no such encoder or layer, or no layer is chosen of one that has no classes.
    """
    if params.encoder == "none":
        return ()
    encoder = face_encoder(params.encoder, params.precision)
    layers = _layers(params, encoder)
    pooled = " and ".join(POOLED[pooling] for pooling in params.pooling)
    embedding = FeatureGroup(
        "embedding",
        tuple(
            f"face_l{layer:02d}_{pooling}_{index:04d}"
            for layer in layers
            for pooling in params.pooling
            for index in range(encoder.widths[layer])
        ),
        f"{pooled} over at most {params.encoder_frames} upright faces of the clip, of the mean hidden state of each "
        "chosen layer of the encoder; layer 0 is the embeddings",
        "1",
        f"transformers, {params.encoder}",
    )
    formula = "mean over the same faces of the probability of each of the encoder's own classes"
    expression = class_group("expression", "expression", encoder.labels, formula, params.encoder)
    return (embedding,) * bool(layers) + (expression,) * bool(encoder.labels)


def _layers(params: VisualParams, encoder: FaceEncoder) -> list[int]:
    return layer_numbers("visual.layers", params.layers, params.encoder, len(encoder.widths), bool(encoder.labels))


def encoded(clips: Sequence[Sequence[Gray]], params: VisualParams) -> list[NDArray[np.float32]]:
    """The columns of `encoder_groups` for each clip, given as its upright faces, each uint8 of shape (96, 96).

    All go through the network together; what it makes of a face is the same to the bit whatever else it is shown.
    """
    encoder = face_encoder(params.encoder, params.precision)
    layers, classes = encoder.states([face for faces in clips for face in faces])
    chosen = [layers[layer] for layer in _layers(params, encoder)]
    ends = np.cumsum([len(faces) for faces in clips])
    rows = []
    for part in (slice(end - len(faces), end) for end, faces in zip(ends, clips, strict=True)):
        parts = [_POOLING[way](state[part]) for state in chosen for way in params.pooling]
        parts += [classes[part].mean(axis=0)] if classes is not None else []
        rows.append(np.concatenate(parts).astype(np.float32))
    return rows


def chosen_faces(track: Track, count: int) -> list[Sighting]:
    """At most `count` sightings, spread over a clip: of each part of it the one that is surest to be a face."""
    parts = np.array_split(np.arange(len(track)), min(count, len(track)))
    return [track[max(part, key=lambda number: track[number].face.confidence)] for part in parts]
