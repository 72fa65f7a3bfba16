"""Text features: what a pretrained transformer makes of the words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar

from emofuse.errors import EncoderError
from emofuse.features.encoder import load_encoder
from emofuse.params import TextParams
from emofuse.schema import Extracted, Utterance

BATCH = 64


class TextExtractor:
    """Pooled hidden states of a transformer encoder, one block of columns a layer.

    Mean pooling over the tokens is that of Sentence-BERT (Reimers and Gurevych, EMNLP 2019); layer 0 is the embeddings.
    """

    def __init__(self, params: TextParams, device: str = "cpu") -> None:
        disable_progress_bar()
        self.params = params
        self._device = device
        self._tokenizer, self._model = load_encoder(params.encoder, device)
        self._layers = self._chosen_layers()
        width = self._model.config.hidden_size
        self.names: tuple[str, ...] = tuple(
            f"text_l{layer:02d}_{i:04d}" for layer in self._layers for i in range(width)
        )

    def _chosen_layers(self) -> list[int]:
        depth = self._model.config.num_hidden_layers + 1
        wanted = range(depth) if self.params.layers == "all" else self.params.layers
        wrong = [layer for layer in wanted if not -depth <= layer < depth]
        if wrong:
            raise EncoderError(
                f"text.layers names {wrong}, but {self.params.encoder!r} has layers 0 (embeddings) to {depth - 1}"
            )
        return [layer % depth for layer in wanted]

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give the features of each utterance that has words, encoding them in batches sorted by length."""
        texts = [u.clean_text if self.params.source == "clean" else u.text.strip() for u in utterances]
        spoken = [index for index, text in enumerate(texts) if text]
        encoded = dict(zip(spoken, self._encode([texts[index] for index in spoken]), strict=True))
        for index in range(len(texts)):
            yield Extracted(encoded[index]) if index in encoded else Extracted(None, "no text")

    def warm_up(self) -> None:
        """Encode once, so that memory is allocated and kernels are chosen."""
        self._encode(["warm up"])

    def _encode(self, texts: list[str]) -> list[NDArray[np.float32]]:
        if not texts:
            return []
        tokens = self._tokenizer(texts, truncation=True, max_length=self._longest)["input_ids"]
        # A stable sort by length keeps padding short, and the batches the same from run to run.
        order = sorted(range(len(texts)), key=lambda index: len(tokens[index]))
        vectors: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(texts)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            padded = self._tokenizer.pad({"input_ids": [tokens[index] for index in chosen]}, return_tensors="pt")
            for index, vector in zip(chosen, self._pool(padded.to(self._device)), strict=True):
                vectors[index] = vector
        return vectors

    @property
    def _longest(self) -> int:
        return min(self.params.max_tokens, getattr(self._model.config, "max_position_embeddings", 512))

    @torch.inference_mode()
    def _pool(self, batch: Any) -> NDArray[np.float32]:
        states = self._model(**batch, output_hidden_states=True).hidden_states
        mask = batch["attention_mask"].unsqueeze(-1)
        pooled = [_POOLING[self.params.pooling](states[layer].float(), mask) for layer in self._layers]
        result: NDArray[np.float32] = torch.cat(pooled, dim=1).cpu().numpy()
        return result


def _mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return (states * mask).sum(dim=1) / mask.sum(dim=1)


def _max(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states.masked_fill(mask == 0, float("-inf")).amax(dim=1)


def _cls(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states[:, 0]


_POOLING = {"mean": _mean, "max": _max, "cls": _cls}
