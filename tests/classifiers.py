"""Tiny models that no one has trained: three classifiers under the label names of well-known ones, one of speakers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    HubertConfig,
    HubertForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForXVector,
)

from emofuse.core.params import Params
from tests.conftest import tiny_classifier

WORDS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
SOUNDS = ("neu", "hap", "ang", "sad")  # as superb/hubert-base-superb-er
FACES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")  # as trpakov/vit-face-expression
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {"conv_dim": (16, 16), "conv_kernel": (10, 8), "conv_stride": (40, 8), "num_feat_extract_layers": 2}
WAVES = SMALL | CONVOLUTIONS | {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
READER = '{"size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'


def named(labels: tuple[str, ...]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: number for number, label in enumerate(labels)}}


def save_classifiers(
    folder: Path, words: tuple[str, ...] = WORDS, sounds: tuple[str, ...] = SOUNDS, faces: tuple[str, ...] = FACES
) -> dict[str, str]:
    """Write them below a folder; gives the folder of each modality's."""
    tiny_classifier(folder / "text", words)
    HubertForSequenceClassification(HubertConfig(**WAVES, **named(sounds))).save_pretrained(folder / "audio")
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder / "audio")
    config = ViTConfig(**SMALL, image_size=32, patch_size=8, **named(faces))
    ViTForImageClassification(config).save_pretrained(folder / "visual")
    (folder / "visual" / "preprocessor_config.json").write_text(READER)
    return {modality: str(folder / modality) for modality in ("text", "audio", "visual")}


def save_speaker_model(folder: Path) -> str:
    """Write a model of speakers; gives the folder."""
    torch.manual_seed(0)
    convolutions = {"tdnn_dim": (16, 16, 32), "tdnn_kernel": (5, 3, 1), "tdnn_dilation": (1, 2, 1)}
    Wav2Vec2ForXVector(Wav2Vec2Config(**WAVES, **convolutions, xvector_output_dim=12)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(folder)
    return str(folder)


def with_classifiers(params: Params, **changes: Any) -> Params:
    """Params that name classifiers, and what else of `pretrained` is given."""
    section = params.pretrained.model_dump() | changes
    return Params.model_validate(params.model_dump() | {"pretrained": section})
