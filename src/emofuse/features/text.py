"""Text features: what a pretrained transformer makes of the words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils.logging import disable_progress_bar

from emofuse.errors import EncoderError
from emofuse.features.content import NO_TEXT, spoken
from emofuse.features.cues import NAMES as CUES
from emofuse.features.cues import cues
from emofuse.features.encoder import load_encoder, load_shape
from emofuse.params import TextParams
from emofuse.schema import Extracted, Utterance

BATCH = 128  # texts; larger is no faster on a processor
LEAST_TOKENS = 64  # a batch; below it, matrix products take other paths, whose last bits differ


class TextExtractor:
    """Pooled hidden states of a transformer encoder, one block of columns a layer, and the text's surface cues.

    Mean pooling over the tokens is that of Sentence-BERT (Reimers and Gurevych, EMNLP 2019); layer 0 is the embeddings.

    Only texts of equally many tokens share a batch. Nothing is padded then, which is fastest, and a text's features are
    the same to the bit whatever else is encoded.
    """

    def __init__(self, params: TextParams, device: str = "cpu") -> None:
        disable_progress_bar()
        self.params = params
        self._device = device
        depth, width, longest = load_shape(params.encoder)
        self._longest = min(params.max_tokens, longest)
        self._layers = self._chosen_layers(depth + 1)
        self.names: tuple[str, ...] = tuple(
            f"text_l{layer:02d}_{i:04d}" for layer in self._layers for i in range(width)
        ) + (CUES if params.cues else ())

    def _chosen_layers(self, depth: int) -> list[int]:
        wanted = range(depth) if self.params.layers == "all" else self.params.layers
        wrong = [layer for layer in wanted if not -depth <= layer < depth]
        if wrong:
            raise EncoderError(
                f"text.layers names {wrong}, but {self.params.encoder!r} has layers 0 (embeddings) to {depth - 1}"
            )
        return [layer % depth for layer in wanted]

    @cached_property
    def _encoder(self) -> tuple[Any, Any]:
        """Tokenizer and model, loaded when the first text is encoded."""
        return load_encoder(self.params.encoder, self._device, self.params.precision)

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give the features of each utterance that has words."""
        done = dict(self.stream(utterances))
        for number in range(len(utterances)):
            yield done[number]

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        """Give the same, numbered, batch by batch from the shortest texts to the longest."""
        words = {number: spoken(utterance, self.params) for number, utterance in enumerate(utterances)}
        yield from ((number, NO_TEXT) for number, text in words.items() if not text)
        said = [number for number, text in words.items() if text]
        if not said:
            return
        tokenizer, _ = self._encoder
        encoded = tokenizer([words[number] for number in said], truncation=True, max_length=self._longest)["input_ids"]
        tokens = dict(zip(said, encoded, strict=True))
        for length, group in groupby(sorted(said, key=lambda number: len(tokens[number])), lambda n: len(tokens[n])):
            numbers = list(group)
            for start in range(0, len(numbers), BATCH):
                chosen = numbers[start : start + BATCH]
                rows = [tokens[number] for number in chosen]
                filling = max(0, -(-LEAST_TOKENS // length) - len(rows))
                vectors = self._pool(torch.tensor(rows + rows[:1] * filling))
                for number, vector in zip(chosen, vectors[: len(rows)], strict=True):
                    more = [cues(utterances[number].text)] if self.params.cues else []
                    yield number, Extracted(np.concatenate([vector, *more]))

    def warm_up(self) -> None:
        """Encode once, so that memory is allocated and kernels are chosen."""
        list(self.stream([Utterance(text="warm up", clean_text="warm up")]))

    @torch.inference_mode()
    def _pool(self, tokens: torch.Tensor) -> NDArray[np.float32]:
        """Features of texts, given as token ids of shape (texts, length)."""
        tokens = tokens.to(self._device)
        _, model = self._encoder
        answer = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), output_hidden_states=True)
        pooled = [_POOLING[self.params.pooling](answer.hidden_states[layer].float()) for layer in self._layers]
        result: NDArray[np.float32] = torch.cat(pooled, dim=1).cpu().numpy()
        return result


def _mean(states: torch.Tensor) -> torch.Tensor:
    return states.mean(dim=1)


def _max(states: torch.Tensor) -> torch.Tensor:
    return states.amax(dim=1)


def _cls(states: torch.Tensor) -> torch.Tensor:
    return states[:, 0]


_POOLING = {"mean": _mean, "max": _max, "cls": _cls}
