"""Cross-validated training: folds grouped by dialogue, early stopping, imbalance, fixed seeds."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor
from torch.nn.functional import cross_entropy

from emofuse.device import make_deterministic, pick_device
from emofuse.errors import DataError
from emofuse.fusion.base import Batch, Fusion
from emofuse.params import TrainParams


@dataclass(frozen=True)
class Rows:
    """n labelled utterances.

    Attributes:
        batch: what models read.
        targets: the class of each, int64 of shape (n,).
    """

    batch: Batch
    targets: Tensor

    def take(self, index: Tensor) -> Rows:
        """The rows of an index."""
        return Rows(self.batch.rows(index), self.targets[index])

    def to(self, device: str) -> Rows:
        """The same rows on a device."""
        return Rows(self.batch.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Epoch:
    """One epoch of one fold; losses are mean cross entropies, the training loss with weights and the parts' losses."""

    fold: int
    epoch: int
    train_loss: float
    held_out_loss: float
    held_out_weighted_f1: float


@dataclass(frozen=True)
class Fold:
    """What a fold came to, measured on its held-out rows."""

    accuracy: float
    weighted_f1: float
    macro_f1: float
    best_epoch: int
    rows: int


@dataclass(frozen=True)
class Trained:
    """The members of a model, one a fold, and how they came about."""

    members: list[Fusion]
    folds: list[Fold]
    history: list[Epoch]


def dialogue_folds(
    targets: NDArray[np.int64], dialogues: Sequence[str], folds: int, seed: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Split n rows so that no dialogue stands on both sides and labels are spread alike.

    Yields:
        Training and held-out row numbers.

    Raises:
        DataError: there are fewer dialogues, or rows of every class, than folds.
    """
    groups, largest = len(set(dialogues)), int(np.bincount(targets).max())
    for count, what in ((groups, "dialogues in the train split"), (largest, "training rows of the largest class")):
        if count < folds:
            raise DataError(f"found {count} {what}, expected at least train.folds = {folds}; lower train.folds")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # The data report names the classes that are too small for every fold to hold one.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield from splitter.split(np.zeros(len(targets)), targets, list(dialogues))


def train(make: Callable[[], Fusion], rows: Rows, dialogues: Sequence[str], params: TrainParams, seed: int) -> Trained:
    """Train a member a fold, each stopped early by its held-out rows.

    Args:
        make: makes a model with fresh weights.
        rows: the labelled rows of the training split.
        dialogues: the dialogue of each row.
        params: how to train.
        seed: decides folds, weights and batches.

    Raises:
        DataError: there are fewer dialogues than folds.
    """
    device = pick_device()
    targets = rows.targets.numpy()
    groups = torch.from_numpy(np.unique(list(dialogues), return_inverse=True)[1])
    rows = rows.to(device)
    members, folds, history = [], [], []
    for number, (fit, held) in enumerate(dialogue_folds(targets, dialogues, params.folds, seed)):
        make_deterministic(seed + number)
        model = make().to(device)
        held_out = rows.take(torch.as_tensor(held, device=device))
        index = torch.as_tensor(fit)
        epochs = _fit(model, rows.take(index.to(device)), groups[index], held_out, params, number)
        best = max(epochs, key=lambda epoch: (epoch.held_out_weighted_f1, -epoch.held_out_loss)).epoch
        folds.append(_score(targets[held], _logits(model, held_out.batch).argmax(dim=1).cpu().numpy(), best))
        print(f"fold {number + 1}/{params.folds}: held-out weighted F1 {folds[-1].weighted_f1:.3f}, best epoch {best}")
        members.append(model.cpu())
        history.extend(epochs)
    return Trained(members, folds, history)


def class_weights(targets: Tensor, classes: int, power: float) -> Tensor:
    """Inverse class frequencies to a power, scaled so that the mean row weighs 1; shape (classes,).

    The power between none (0) and full (1) balancing trades accuracy for recall of rare classes.
    """
    counts = torch.bincount(targets, minlength=classes).clamp(min=1).float()
    weights = counts.pow(-power)
    return weights / weights[targets].mean()


def _fit(model: Fusion, rows: Rows, groups: Tensor, held: Rows, params: TrainParams, fold: int) -> list[Epoch]:
    """Train until the held-out weighted F1 has not risen for `patience` epochs, and put the best weights back.

    The loss would stop much sooner, when a member grows too sure of itself, which averaging the members mends: on MELD
    and on the built-in corpus the score on dev is higher this way. Equal scores are told apart by the loss.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay, fused=True
    )
    generator = torch.Generator().manual_seed(torch.initial_seed())
    epochs: list[Epoch] = []
    best, best_state = (-1.0, 0.0), copy.deepcopy(model.state_dict())
    stale = 0
    while len(epochs) < params.epochs and stale < params.patience:
        train_loss = _epoch(model, rows, groups, optimizer, params, generator)
        logits = _logits(model, held.batch)
        loss = cross_entropy(logits, held.targets).item()
        score = float(f1_score(held.targets.cpu(), logits.argmax(dim=1).cpu(), average="weighted", zero_division=0))
        epochs.append(Epoch(fold, len(epochs) + 1, train_loss, loss, score))
        stale += 1
        if (score, -loss) > best:
            best, best_state, stale = (score, -loss), copy.deepcopy(model.state_dict()), 0
    model.load_state_dict(best_state)
    return epochs


def _epoch(
    model: Fusion,
    rows: Rows,
    groups: Tensor,
    optimizer: torch.optim.Optimizer,
    params: TrainParams,
    generator: torch.Generator,
) -> float:
    """One pass over the rows in random order, some of their modalities and lines hidden; gives the mean loss."""
    model.train()
    weights = class_weights(rows.targets, model.classes, params.class_weight)
    total = 0.0
    device = rows.targets.device
    for index in _order(groups, model.reads_context, generator).split(params.batch_size):
        part = rows.take(index.to(device))
        hidden = torch.rand(part.batch.mask.shape, generator=generator) < params.modality_dropout
        batch = part.batch.hide(hidden.to(device))
        if model.reads_context:
            alone = torch.rand(len(index), generator=generator) < params.attention.context_dropout
            batch = batch.alone(alone.to(device))
        loss = model.loss(batch, part.targets, weights)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.item() * len(index)
    return total / len(rows.targets)


def _order(groups: Tensor, whole: bool, generator: torch.Generator) -> Tensor:
    """Row numbers in random order; if `whole`, those of a group (dialogue) side by side, as they share lines."""
    if not whole:
        return torch.randperm(len(groups), generator=generator)
    turns = torch.randperm(int(groups.max()) + 1, generator=generator)
    return turns[groups].argsort(stable=True)


@torch.inference_mode()
def _logits(model: Fusion, batch: Batch) -> Tensor:
    model.eval()
    logits: Tensor = model(batch)
    return logits


def _score(actual: NDArray[np.int64], predicted: NDArray[np.int64], best_epoch: int) -> Fold:
    return Fold(
        accuracy=float(accuracy_score(actual, predicted)),
        weighted_f1=float(f1_score(actual, predicted, average="weighted", zero_division=0)),
        macro_f1=float(f1_score(actual, predicted, average="macro", zero_division=0)),
        best_epoch=best_epoch,
        rows=len(actual),
    )
