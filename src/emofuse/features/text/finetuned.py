"""Encoders trained end to end on the labels: their class scores are columns beside the other text features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from emofuse.core.files import read_json
from emofuse.core.linear import Linear
from emofuse.core.params import TextParams
from emofuse.core.reasons import Cause
from emofuse.core.records import Extracted, Line, Utterance
from emofuse.extraction.content import text_of
from emofuse.features.contract import Extractor
from emofuse.features.text.encoder import load_encoder, load_shape

if TYPE_CHECKING:
    import pandas as pd

DESCRIPTION = "finetuned.json"
BATCH = 64  # texts
DROPOUT = 0.2  # before the classifier


@dataclass(frozen=True)
class Tokens:
    """One utterance as the network reads it: token ids, their segments, and which are of the utterance itself."""

    ids: Tensor
    segments: Tensor
    own: Tensor


class FinetunedNetwork(nn.Module):
    """An encoder and a linear classifier on the mean of the utterance's tokens in every layer.

    All layers, since they bring more than the last (as in ELMo: Peters et al., NAACL 2018). The embeddings of the
    tokens, half of a small encoder's weights, stay as they are: most tokens are too rare to be trained.
    """

    def __init__(self, encoder: Any, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder.get_input_embeddings().requires_grad_(False)
        config = encoder.config
        self.drop = nn.Dropout(DROPOUT)
        self.classifier = Linear(config.hidden_size * (config.num_hidden_layers + 1), classes)
        self._segments = getattr(config, "type_vocab_size", 0) > 1

    def forward(self, batch: Sequence[Tokens]) -> Tensor:
        """Logits of n utterances, shape (n, classes)."""
        device = self.device
        ids, segments, own = (
            pad_sequence([getattr(one, part) for one in batch], batch_first=True).to(device)
            for part in ("ids", "segments", "own")
        )
        lengths = torch.tensor([len(one.ids) for one in batch], device=device)
        mask = torch.arange(ids.shape[1], device=device) < lengths[:, None]
        kinds = {"token_type_ids": segments} if self._segments else {}
        answer = self.encoder(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True, **kinds)
        share = (own / own.sum(dim=1, keepdim=True)).unsqueeze(2)
        pooled = torch.cat([(state * share).sum(dim=1) for state in answer.hidden_states], dim=1)
        logits: Tensor = self.classifier(self.drop(pooled))
        return logits

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.classifier.weight.device

    def trained(self) -> dict[str, Tensor]:
        """The weights that training changes."""
        frozen = self.encoder.get_input_embeddings().weight
        return {name: value for name, value in self.state_dict(keep_vars=True).items() if value is not frozen}


def tokenized(tokenizer: Any, utterances: Sequence[Utterance], params: TextParams) -> list[Tokens]:
    """Tokens of n utterances that have words, each with the lines before it as its second segment, nearest first."""
    words = [text_of(utterance, params) for utterance in utterances]
    count = params.finetune.previous
    lines = [[_text(line, params) for line in reversed(u.context[-count:])] for u in utterances] if count else None
    encoded = tokenizer(
        words,
        None if lines is None else [f" {tokenizer.sep_token} ".join(before) for before in lines],
        truncation="longest_first",
        max_length=min(params.max_tokens, load_shape(params.encoder)[2]),
    )
    tokens = []
    for number, ids in enumerate(encoded["input_ids"]):
        parts = encoded.sequence_ids(number)
        own = [part == 0 for part in parts]
        tokens.append(
            Tokens(
                torch.tensor(ids),
                torch.tensor([int(part == 1) for part in parts]),
                torch.tensor(own if any(own) else [True] * len(ids), dtype=torch.float32),
            )
        )
    return tokens


def _text(line: Line, params: TextParams) -> str:
    return line.clean_text if params.source == "clean" else line.text.strip()


def batches(tokens: Sequence[Tokens], size: int) -> Iterator[list[int]]:
    """Numbers of texts, from the shortest to the longest, so that little is padded."""
    order = sorted(range(len(tokens)), key=lambda number: len(tokens[number].ids))
    for start in range(0, len(order), size):
        yield order[start : start + size]


@torch.inference_mode()
def answers(network: FinetunedNetwork, tokens: Sequence[Tokens], precision: str) -> NDArray[np.float64]:
    """Log probabilities of n texts, shape (n, classes)."""
    network.eval()
    scores = np.zeros((len(tokens), network.classifier.out_features))
    for numbers in batches(tokens, BATCH):
        with torch.autocast(network.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = network([tokens[number] for number in numbers])
        scores[numbers] = logits.double().log_softmax(dim=1).cpu().numpy()
    return scores


class FinetunedEncoder:
    """The members in a folder that the stage finetune wrote.

    Args:
        folder: the description, and the members' weights in safetensors.
        params: of the text extractor.
        device: `cpu` or `cuda`.
    """

    def __init__(self, folder: Path, params: TextParams, device: str) -> None:
        self._folder = folder
        self._params = params
        self._device = device
        self.names = column_names(read_json(folder / DESCRIPTION)["labels"])

    @cached_property
    def _loaded(self) -> tuple[Any, list[FinetunedNetwork]]:
        members: list[FinetunedNetwork] = []
        for path in sorted(self._folder.glob("member*.safetensors")):
            tokenizer, encoder = load_encoder(self._params.encoder, self._device)
            if members:  # the embeddings of the tokens are the same in all
                encoder.set_input_embeddings(members[0].encoder.get_input_embeddings())
            network = FinetunedNetwork(encoder, len(self.names)).to(self._device)
            network.load_state_dict(load_file(path), strict=False)
            members.append(network)
        return tokenizer, members

    def scores(self, utterances: Sequence[Utterance]) -> NDArray[np.float32]:
        """Log probabilities of n utterances that have words, pooled over the members, shape (n, classes)."""
        tokenizer, members = self._loaded
        tokens = tokenized(tokenizer, utterances, self._params)
        precision = self._params.finetune.precision
        return pooled_scores(answers(member, tokens, precision) for member in members)


def add_finetuned(path: Path, manifest: pd.DataFrame, folder: Path) -> None:
    """Put the columns that the stage finetune left in a folder beside those of the text features, in their file."""
    from emofuse.core.tables import read_features, write_features  # with pandas, which what is served does without

    plain, finetuned = (read_features("text", manifest, place) for place in (path.parent, folder))
    causes = [Cause.parse(reason) if reason else None for reason in plain.reasons]
    columns = zip(plain.present, causes, np.hstack([plain.values, finetuned.values]), strict=True)
    rows = (Extracted(values if present else None, cause) for present, cause, values in columns)
    write_features(path, manifest, (*plain.names, *finetuned.names), rows)


def column_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The names of the columns."""
    return tuple(f"text_finetuned_{label}" for label in labels)


def pooled_scores(members: Iterable[NDArray[np.float64]]) -> NDArray[np.float32]:
    """The mean of log probabilities, each of shape (n, classes), normalised again."""
    mean = np.mean(list(members), axis=0)
    result: NDArray[np.float32] = (mean - np.logaddexp.reduce(mean, axis=1, keepdims=True)).astype(np.float32)
    return result


class FinetunedExtractor:
    """A text extractor with the columns of finetuned encoders beside its own."""

    def __init__(self, plain: Extractor, finetuned: FinetunedEncoder) -> None:
        self._plain = plain
        self._finetuned = finetuned
        self.names = (*plain.names, *finetuned.names)

    def extract(self, utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """Give the features of each utterance that has words."""
        rows = list(self._plain.extract(utterances))
        wordy = [utterance for utterance, row in zip(utterances, rows, strict=True) if row.values is not None]
        scores = iter(self._finetuned.scores(wordy) if wordy else ())
        for row in rows:
            yield row if row.values is None else Extracted(np.concatenate([row.values, next(scores)]))

    def stream(self, utterances: Sequence[Utterance]) -> Iterator[tuple[int, Extracted]]:
        """Give the same, numbered."""
        yield from enumerate(self.extract(utterances))

    def warm_up(self) -> None:
        """Answer once, so that the weights are loaded."""
        list(self.extract([Utterance(text="warm up")]))
