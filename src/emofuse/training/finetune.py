"""Training of the text encoder end to end on the labels, one encoder a fold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emofuse.core.device import make_deterministic, pick_device
from emofuse.core.params import TextParams, TrainParams
from emofuse.core.progress import progress
from emofuse.core.records import Utterance
from emofuse.features.text.encoder import load_encoder
from emofuse.features.text.finetuned import FinetunedNetwork, Tokens, answers, tokenized
from emofuse.fusion.objective import Objective
from emofuse.training.loop import dialogue_folds

HEAD_RATE = 25.0  # the classifier starts from nothing and learns so many times faster than the encoder
WARM_UP = 0.1  # of the steps, while the learning rate rises


@dataclass(frozen=True)
class FinetunedMember:
    """An encoder trained on all folds but one.

    Attributes:
        network: the encoder with its classifier, its weights rounded to what is stored.
        held: numbers of the m rows that were held out.
        scores: log probabilities of these, shape (m, classes).
    """

    network: FinetunedNetwork
    held: NDArray[np.intp]
    scores: NDArray[np.float64]


def finetune(
    utterances: Sequence[Utterance],
    targets: NDArray[np.int64],
    dialogues: Sequence[str],
    text: TextParams,
    train: TrainParams,
    seed: int,
) -> Iterator[FinetunedMember]:
    """Train an encoder a fold of n labelled utterances that have words, and give each as it is done.

    Every encoder trains for `text.finetune.epochs`: none is stopped early, since the epoch that does best on held-out
    rows would be chosen by their labels, and what it says of these rows would be too good to train on.

    Raises:
        DataError: there are fewer dialogues than folds.
        EncoderError: there is no such encoder.
    """
    device = pick_device()
    tokenizer, _ = load_encoder(text.encoder, "cpu")
    tokens = tokenized(tokenizer, utterances, text)
    for fold, (fit, held) in enumerate(dialogue_folds(targets, dialogues, train.folds, seed)):
        make_deterministic(seed + fold)
        network = FinetunedNetwork(load_encoder(text.encoder, device)[1], int(targets.max()) + 1).to(device)
        _fit(network, [tokens[number] for number in fit], torch.from_numpy(targets[fit]), text, train, fold)
        for value in network.trained().values():
            value.data = value.data.to(torch.float16).to(value.dtype)  # as it is stored
        scores = answers(network, [tokens[number] for number in held], text.finetune.precision)
        yield FinetunedMember(network.cpu(), held, scores)


def _fit(
    network: FinetunedNetwork, tokens: list[Tokens], targets: Tensor, text: TextParams, train: TrainParams, fold: int
) -> None:
    """Minimise the objective of `train`, the learning rate rising and then falling to nothing."""
    tune = text.finetune
    device = network.device
    objective = Objective.fit(targets.to(device), network.classifier.out_features, train)
    encoder = [weight for weight in network.encoder.parameters() if weight.requires_grad]
    classifier: dict[str, Any] = {"params": list(network.classifier.parameters()), "lr": tune.learning_rate * HEAD_RATE}
    optimizer = torch.optim.AdamW([{"params": encoder}, classifier], lr=tune.learning_rate, fused=True)
    steps = tune.epochs * math.ceil(len(tokens) / tune.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (WARM_UP * steps), (steps - step) / ((1 - WARM_UP) * steps))
    )
    generator = torch.Generator().manual_seed(torch.initial_seed())
    network.train()
    drawn = (numbers for _ in range(tune.epochs) for numbers in _shuffled(tokens, tune.batch_size, generator))
    for numbers in progress(drawn, f"finetune fold {fold + 1}/{train.folds}", steps, "batch"):
        with torch.autocast(device.type, torch.bfloat16, enabled=tune.precision == "bf16"):
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
