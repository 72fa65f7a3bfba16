"""Whisper: weights that come in a package, and its encoder on sounds as long as they are.

Source: Radford and others, Robust speech recognition via large-scale weak supervision, ICML 2023.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emofuse.core.weights import TINY_EN

FORMAT = 6  # of CTranslate2's files
FLOAT16 = 4  # its code of that type
END, START, NO_TIMES = 50256, 50257, 50362  # tokens of the English models
TOKENS: dict[str, Any] = {
    "bos_token_id": END,
    "eos_token_id": END,
    "pad_token_id": END,
    "decoder_start_token_id": START,
}
LAYERS, WIDTH, HEADS, VOCABULARY = 4, 384, 6, 51864
SAMPLES_A_POSITION = 320  # of the encoder's output: 20 ms
# CTranslate2's names of a layer's parts under transformers'; several are one array there.
PARTS = {
    "self_attention/layer_norm": ["self_attn_layer_norm"],
    "self_attention/linear_0": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "self_attention/linear_1": ["self_attn.out_proj"],
    "attention/layer_norm": ["encoder_attn_layer_norm"],
    "attention/linear_0": ["encoder_attn.q_proj"],
    "attention/linear_1": ["encoder_attn.k_proj", "encoder_attn.v_proj"],
    "attention/linear_2": ["encoder_attn.out_proj"],
    "ffn/layer_norm": ["final_layer_norm"],
    "ffn/linear_0": ["fc1"],
    "ffn/linear_1": ["fc2"],
}
ENDS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias", "encodings": "weight"}
OUTER = {"embeddings": "embed_tokens", "position_encodings": "embed_positions"}


def packaged_whisper() -> tuple[Any, Any, Any]:
    """Whisper tiny.en of the data package: model, tokenizer and feature extractor, without network.

    Raises:
        EncoderError: the package is not installed, or its weights are not the published ones.
    """
    from transformers import (
        GenerationConfig,
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    path = TINY_EN.path()
    settings = json.loads(path.with_name("config.json").read_text(encoding="utf-8"))
    # Eager attention shows where the decoder looked, of which the times of words are made.
    with torch.device("meta"):
        model: Any = WhisperForConditionalGeneration(WhisperConfig(**_sizes("eager"), **TOKENS))
    model.load_state_dict(_state(path), assign=True)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        **TOKENS,
        is_multilingual=False,
        no_timestamps_token_id=NO_TIMES,
        suppress_tokens=settings["suppress_ids"],
        begin_suppress_tokens=settings["suppress_ids_begin"],
        alignment_heads=settings["alignment_heads"],
    )
    mark = "<|endoftext|>"
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(path.with_name("tokenizer.json")), eos_token=mark, bos_token=mark, pad_token=mark
    )
    return model.eval(), tokenizer, WhisperFeatureExtractor()


def packaged_encoder(assets: Path | None) -> Any:
    """The encoder of the same model.

    Args:
        assets: folder of a bundle that may hold the weights which the package holds otherwise.

    Raises:
        EncoderError: as `packaged_whisper`.
    """
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    state = _state(TINY_EN.path(assets))
    with torch.device("meta"):
        encoder: Any = WhisperEncoder(WhisperConfig(**_sizes("sdpa"), **TOKENS))
    start = "model.encoder."
    own = {name.removeprefix(start): values for name, values in state.items() if name.startswith(start)}
    encoder.load_state_dict(own, assign=True)
    return encoder.eval()


def _sizes(attention: str) -> dict[str, Any]:
    sizes: dict[str, Any] = {"attn_implementation": attention, "vocab_size": VOCABULARY, "d_model": WIDTH}
    for side in ("encoder", "decoder"):
        sizes |= {f"{side}_layers": LAYERS, f"{side}_attention_heads": HEADS, f"{side}_ffn_dim": 4 * WIDTH}
    return sizes


def _state(path: Path) -> dict[str, Tensor]:
    """The arrays under transformers' names, float32."""
    state = {}
    for name, array in _arrays(path.read_bytes()):
        side, *parts, end = name.split("/")
        if parts and parts[0].startswith("layer_") and parts[0] != "layer_norm":
            names = [f"layers.{parts[0][6:]}.{part}" for part in PARTS["/".join(parts[1:])]]
        else:
            names = [OUTER.get(parts[0], parts[0])]
        for part, value in zip(names, array.chunk(len(names)), strict=True):
            if not (part.endswith("k_proj") and end == "bias"):  # which is zero and which transformers leaves out
                state[f"model.{side}.{part}.{ENDS[end]}"] = value.clone()
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    return state


def _arrays(data: bytes) -> Iterator[tuple[str, Tensor]]:
    """The float16 arrays of a CTranslate2 file as float32; other variables are flags."""
    place = 0

    def take(kind: str) -> int:
        """The next number, of a kind as `struct` names it; `struct.error` where the file ends before."""
        nonlocal place
        [value] = struct.unpack_from(f"<{kind}", data, place)
        place += struct.calcsize(f"<{kind}")
        return int(value)

    def text() -> str:
        """The next string: its length in two bytes, then UTF-8 with a zero at its end."""
        nonlocal place
        length = take("H")
        place += length
        return data[place - length : place - 1].decode()

    if (version := take("I")) != FORMAT:
        raise ValueError(f"found format {version} of CTranslate2, expected {FORMAT}")
    text(), take("I")  # the kind of model and its revision
    for _ in range(take("I")):
        name = text()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        if kind == FLOAT16:
            values = np.frombuffer(data, "<f2", size // 2, place).astype(np.float32)
            yield name, torch.from_numpy(values.reshape(shape))
        place += size


@contextmanager
def _positions(encoder: Any, count: int) -> Iterator[None]:
    """Let an encoder take so many positions, where transformers' own insists on 30 s."""
    table, most = encoder.embed_positions, encoder.config.max_source_positions
    encoder.embed_positions = nn.Embedding.from_pretrained(table.weight[:count])
    encoder.config.max_source_positions = count
    try:
        yield
    finally:
        encoder.embed_positions, encoder.config.max_source_positions = table, most


def whisper_states(encoder: Any, features: Tensor, **wanted: bool) -> Any:
    """What the encoder answers to n sounds that are as long as they are and not padded to 30 s.

    Args:
        encoder: of a Whisper model.
        features: log mel spectra, shape (n, bands, 2 * positions).
        wanted: such as `output_hidden_states`.
    """
    with _positions(encoder, features.shape[2] // 2):
        return encoder(features, **wanted)
