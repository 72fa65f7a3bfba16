"""Training of the text encoder end to end on the labels, one encoder a fold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from emofuse.core.device import make_deterministic, pick_device
from emofuse.core.errors import DataError
from emofuse.core.files import write_json
from emofuse.core.params import Params, TextParams, TrainParams
from emofuse.core.progress import progress
from emofuse.core.records import Extracted, Utterance
from emofuse.core.tables import training_rows, utterances
from emofuse.extraction.content import NO_TEXT, text_of
from emofuse.features.text.encoder import load_encoder
from emofuse.features.text.finetuned import (
    DESCRIPTION,
    FinetunedEncoder,
    FinetunedNetwork,
    Tokens,
    answers,
    tokenized,
)
from emofuse.fusion.objective import Objective
from emofuse.training.folds import Origins, member_folds

HEAD_RATE = 25.0  # the classifier starts from nothing and learns so many times faster than the encoder
WARM_UP = 0.1  # of the steps, while the learning rate rises


@dataclass(frozen=True)
class FinetunedMember:
    """An encoder trained on all folds but one.

    Attributes:
        network: the encoder with its classifier, its weights rounded to what is stored.
        held_out: numbers of the m rows that were held out.
        scores: log probabilities of these, shape (m, classes).
    """

    network: FinetunedNetwork
    held_out: NDArray[np.intp]
    scores: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write the weights that training changed, as safetensors of half precision."""
        trained = self.network.trained()
        save_file({name: value.detach().half().contiguous() for name, value in trained.items()}, path)


def finetune_manifest(manifest: pd.DataFrame, labels: Sequence[str], params: Params, folder: Path) -> list[Extracted]:
    """Train the encoders on the labelled rows of the training split that have words, and score every row.

    Args:
        manifest: n rows, whole dialogues.
        labels: the classes.
        params: of the text, of the training and of the clips' place.
        folder: gets the weights of each encoder.

    Returns:
        The class scores of each of the n rows: a training row's by the encoder that never met its group, others' by
        all of them.

    Raises:
        DataError: training rows with words are too few, or of too few groups.
        EncoderError: there is no such encoder.
    """
    rows = utterances(manifest, params.ingest.root)
    has_text = np.array([bool(text_of(row, params.text)) for row in rows], dtype=bool)
    train = training_rows(manifest)
    chosen, others = np.flatnonzero(has_text & train), np.flatnonzero(has_text & ~train)
    targets = pd.Index(labels).get_indexer(manifest["label"].iloc[chosen]).astype(np.int64)
    origins = Origins.of(manifest.iloc[chosen])
    words = [rows[number] for number in chosen]
    scores: list[Extracted] = [NO_TEXT] * len(rows)
    members = finetune(words, targets, len(labels), origins, params.text, params.train, params.seed)
    for fold, member in enumerate(members):
        member.save(folder / f"member{fold}.safetensors")
        for row, values in zip(chosen[member.held_out], member.scores.astype(np.float32), strict=True):
            scores[row] = Extracted(values)
    write_json(folder / DESCRIPTION, {"labels": list(labels)})
    if len(others):
        encoder = FinetunedEncoder(folder, params.text, pick_device())
        for row, values in zip(others, encoder.scores([rows[number] for number in others]), strict=True):
            scores[row] = Extracted(values)
    return scores


def finetune(
    words: Sequence[Utterance],
    targets: NDArray[np.int64],
    classes: int,
    origins: Origins,
    text: TextParams,
    train: TrainParams,
    seed: int,
) -> Iterator[FinetunedMember]:
    """Train an encoder a fold of n labelled utterances, and give each as it is done.

    Every encoder trains for `text.finetune.epochs`: none is stopped early, since the epoch that does best on held-out
    rows would be chosen by their labels, and what it says of these rows would be too good to train on.

    Args:
        words: n utterances that have words.
        targets: the class of each.
        classes: how many there are, of which some may have no row with words.
        origins: of each utterance.
        text: how words are read, and encoders trained.
        train: folds and objective.
        seed: decides folds, weights and batches.

    Raises:
        DataError: there are no such utterances, or they are of fewer groups than folds.
        EncoderError: there is no such encoder.
    """
    if not words:
        raise DataError(
            "found no labelled training row with text, expected some to finetune the encoder on; "
            "set text.finetune.epochs to 0"
        )
    device = pick_device()
    tokenizer, _ = load_encoder(text.encoder, "cpu")
    tokens = tokenized(tokenizer, words, text)
    for fold, (fit, held_out) in enumerate(member_folds(targets, origins, train.folds, seed)):
        make_deterministic(seed + fold)
        network = FinetunedNetwork(load_encoder(text.encoder, device)[1], classes).to(device)
        _fit(network, [tokens[number] for number in fit], torch.from_numpy(targets[fit]), text, train, fold)
        for value in network.trained().values():
            value.data = value.data.to(torch.float16).to(value.dtype)  # as it is stored
        scores = answers(network, [tokens[number] for number in held_out], text.finetune.precision)
        yield FinetunedMember(network.cpu(), held_out, scores)


def _fit(
    network: FinetunedNetwork, tokens: list[Tokens], targets: Tensor, text: TextParams, train: TrainParams, fold: int
) -> None:
    """Minimise the objective of `train`, the learning rate rising and then falling to nothing."""
    finetune = text.finetune
    device = network.device
    objective = Objective.fit(targets.to(device), network.classifier.out_features, train)
    encoder = [weight for weight in network.encoder.parameters() if weight.requires_grad]
    classifier: dict[str, Any] = {
        "params": list(network.classifier.parameters()),
        "lr": finetune.learning_rate * HEAD_RATE,
    }
    optimizer = torch.optim.AdamW([{"params": encoder}, classifier], lr=finetune.learning_rate, fused=True)
    steps = finetune.epochs * math.ceil(len(tokens) / finetune.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (WARM_UP * steps), (steps - step) / ((1 - WARM_UP) * steps))
    )
    generator = torch.Generator().manual_seed(torch.initial_seed())
    network.train()
    drawn = (numbers for _ in range(finetune.epochs) for numbers in _shuffled(tokens, finetune.batch_size, generator))
    for numbers in progress(drawn, f"finetune fold {fold + 1}", steps, "batch"):
        with torch.autocast(device.type, torch.bfloat16, enabled=finetune.precision == "bf16"):
            logits = network([tokens[number] for number in numbers])
        loss = objective.mean(logits.float(), targets[numbers].to(device))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def _shuffled(tokens: list[Tokens], size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """An epoch's batches in random order, each of about equally long texts: length times a random tenth, sorted."""
    jitter = 1 + 0.1 * torch.rand(len(tokens), generator=generator)
    order = torch.argsort(torch.tensor([len(one.ids) for one in tokens]) * jitter)
    parts = order.split(size)
    for number in torch.randperm(len(parts), generator=generator).tolist():
        yield parts[number].tolist()
