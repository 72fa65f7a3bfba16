"""Text features: what a pretrained transformer makes of the words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence
from transformers.utils.logging import disable_progress_bar

from emofuse.core.errors import EncoderError
from emofuse.core.params import TextParams
from emofuse.core.records import Extracted, Utterance
from emofuse.extraction.content import NO_TEXT, text_of
from emofuse.features.contract import FeatureGroup
from emofuse.features.pretrained import class_group, layer_numbers
from emofuse.features.text.cues import CUES, cues
from emofuse.features.text.encoder import load_encoder, load_labels, load_shape

BATCH = 128  # texts; larger is no faster on a processor
NEAR = 16  # tokens: texts whose lengths differ by less may be padded to each other


def text_groups(params: TextParams) -> tuple[FeatureGroup, ...]:
    """The chosen groups, in the order of the columns.

    Raises:
        EncoderError: there is no such encoder or layer, or its classes are asked for and it is no classifier.
    """
    groups = {"cues": lambda _: CUES, "embedding": _embedding, "classes": _classes}
    return tuple(groups[name](params) for name in params.groups)


def _classes(params: TextParams) -> FeatureGroup:
    labels = load_labels(params.encoder)
    if not labels:
        raise EncoderError(
            f"text.groups names classes, but {params.encoder!r} is no classifier of texts; name one, or leave them out"
        )
    formula = "the probability of each of the encoder's own classes"
    return class_group("classes", "text_class", labels, formula, params.encoder)


def _embedding(params: TextParams) -> FeatureGroup:
    _, width, _ = load_shape(params.encoder)
    blocks = [f"text_l{layer:02d}" for layer in chosen_layers(params)] if params.combine == "concat" else ["text"]
    pooled = " and ".join(_POOLED[pooling] for pooling in params.pooling)
    layers = "each chosen layer" if params.combine == "concat" else "the chosen layers' average"
    return FeatureGroup(
        "embedding",
        tuple(f"{block}_{pooling}_{i:04d}" for block in blocks for pooling in params.pooling for i in range(width)),
        f"{pooled} over the tokens of the hidden states of {layers}; layer 0 is the embeddings",
        "1",
        "pooling: Sentence-BERT (Reimers and Gurevych, EMNLP 2019)",
    )


def chosen_layers(params: TextParams) -> list[int]:
    """The layers that are pooled, counted from 0.

    Raises:
        EncoderError: one isn't there.
    """
    return layer_numbers("text.layers", params.layers, params.encoder, load_shape(params.encoder)[0] + 1)


class TextExtractor:
    """Pooled hidden states of a transformer encoder, and the text's surface cues.

    There are two ways, since what is best for many texts is slow for few. `stream` is for tables of features: only
    texts of equally many tokens share a batch. Nothing is padded, which is fastest where there are many of each length,
    and a text's features are the same to the bit whatever else is encoded, so that they can be cached. `extract` is for
    requests: texts of about the same length are padded to each other, so that a few texts of different lengths are one
    batch, not one each. Its features are those of `stream` to rounding.
    """

    def __init__(self, params: TextParams, device: str = "cpu") -> None:
        disable_progress_bar()
        self.params = params
        self._device = device
        self.names: tuple[str, ...] = tuple(name for group in text_groups(params) for name in group.columns)

    @cached_property
    def _layers(self) -> list[int]:
        return chosen_layers(self.params)

    @cached_property
    def _encoder(self) -> tuple[Any, Any]:
        """Tokenizer and model, loaded when the first text is encoded."""
        return load_encoder(self.params.encoder, self._device, self.params.precision, "classes" in self.params.groups)

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give the features of each utterance that has words, in order, texts of about the same length padded."""
        done = dict(self._features(utterances, NEAR))
        for number in range(len(utterances)):
            yield done[number]

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        """Give the same to the bit whatever else is encoded, numbered, from the shortest texts to the longest."""
        yield from self._features(utterances, 1)

    def _features(self, utterances: Sequence[Utterance], near: int) -> Iterator[tuple[int, Extracted]]:
        words = {number: text_of(utterance, self.params) for number, utterance in enumerate(utterances)}
        yield from ((number, NO_TEXT) for number, text in words.items() if not text)
        texts = {number: text for number, text in words.items() if text}
        for number, parts in self._encoded(texts, near):
            parts["cues"] = cues(utterances[number].text)
            yield number, Extracted(np.concatenate([parts[name] for name in self.params.groups]))

    def _encoded(self, texts: Mapping[int, str], near: int) -> Iterator[tuple[int, dict[str, NDArray[np.float32]]]]:
        """What the encoder makes of each text, by group, under the text's number.

        Texts whose lengths differ by less than `near` share a batch.
        """
        if not texts or self.params.groups == ["cues"]:
            yield from ((number, {}) for number in texts)
            return
        tokenizer, _ = self._encoder
        longest = min(self.params.max_tokens, load_shape(self.params.encoder)[2])
        encoded = tokenizer(list(texts.values()), truncation=True, max_length=longest)["input_ids"]
        tokens = dict(zip(texts, map(torch.tensor, encoded), strict=True))

        def steps(number: int) -> int:
            """How long a text is, in steps of `near` tokens."""
            return -(-len(tokens[number]) // near)

        for _, group in groupby(sorted(texts, key=steps), steps):
            numbers = list(group)
            for start in range(0, len(numbers), BATCH):
                chosen = numbers[start : start + BATCH]
                groups = self._pool([tokens[number] for number in chosen])
                for row, number in enumerate(chosen):
                    yield number, {name: values[row] for name, values in groups.items()}

    def warm_up(self) -> None:
        """Encode once, so that memory is allocated and kernels are chosen."""
        list(self.extract([Utterance(text=text) for text in ("warm up", "and longer")]))

    @torch.inference_mode()
    def _pool(self, rows: Sequence[torch.Tensor]) -> dict[str, NDArray[np.float32]]:
        """Features of texts, each given as its token ids, by group; shorter ones are padded, only their own pooled."""
        tokenizer, model = self._encoder
        tokens = pad_sequence(list(rows), batch_first=True, padding_value=tokenizer.pad_token_id or 0).to(self._device)
        lengths = torch.tensor([len(row) for row in rows], device=self._device)
        real = torch.arange(tokens.shape[1], device=self._device) < lengths[:, None]
        answer = model(input_ids=tokens, attention_mask=real.long(), output_hidden_states=True)
        groups = {}
        if "classes" in self.params.groups:
            groups["classes"] = _probabilities(answer.logits.float(), model.config)
        if "embedding" in self.params.groups:
            padding = None if all(len(row) == len(rows[0]) for row in rows) else ~real[:, :, None]
            ways = [_POOLING[pooling] for pooling in self.params.pooling]
            states = [answer.hidden_states[layer] for layer in self._layers]
            pooled = [torch.cat([way(state, padding) for way in ways], dim=1) for state in states]
            concat = self.params.combine == "concat"
            groups["embedding"] = torch.cat(pooled, dim=1) if concat else torch.stack(pooled).mean(dim=0)
        return {name: values.cpu().numpy() for name, values in groups.items()}


def _probabilities(logits: torch.Tensor, config: Any) -> torch.Tensor:
    """Of a classifier's own classes, several of which may hold where it has learnt them so."""
    return logits.sigmoid() if config.problem_type == "multi_label_classification" else logits.softmax(dim=1)


def _mean(states: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
    if padding is None:
        return states.mean(dim=1, dtype=torch.float32)
    return states.masked_fill(padding, 0).sum(dim=1, dtype=torch.float32) / (~padding).sum(dim=1)


def _max(states: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
    # bf16 has no number between, so that it is taken before conversion
    return (states if padding is None else states.masked_fill(padding, -torch.inf)).amax(dim=1).float()


def _cls(states: torch.Tensor, _: torch.Tensor | None) -> torch.Tensor:
    return states[:, 0].float()


_POOLING = {"mean": _mean, "max": _max, "cls": _cls}
_POOLED = {"mean": "mean", "max": "maximum", "cls": "first token"}
