"""Cross-validated training: a member a fold, a schedule, fixed seeds."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._pytree import tree_map_only

from emofuse.core.device import available_cores, make_deterministic, pick_device
from emofuse.core.metrics import summary
from emofuse.core.params import TrainParams
from emofuse.core.processes import processes
from emofuse.fusion.base import Batch, Context, Fusion
from emofuse.fusion.objective import Objective
from emofuse.training.augmentation import augment, draw
from emofuse.training.calibration import log_pool
from emofuse.training.folds import Origins, member_folds


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

    def to_arrays(self) -> Any:
        """The same as arrays, for another process."""
        return tree_map_only(Tensor, lambda tensor: tensor.numpy(), self._tree())

    @classmethod
    def from_arrays(cls, arrays: Any) -> Rows:
        """Rows from what `to_arrays` gave."""
        inputs, mask, context, targets = tree_map_only(np.ndarray, torch.from_numpy, arrays)
        return cls(Batch(inputs, mask, context and Context(*context)), targets)

    def _tree(self) -> Any:
        context = self.batch.context
        parts = None if context is None else (context.words, context.has_text, context.index, context.speaker)
        return dict(self.batch.inputs), self.batch.mask, parts, self.targets


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
    unweighted_recall: float
    rows: int

    @classmethod
    def of(cls, actual: NDArray[np.int64], predicted: NDArray[np.int64]) -> Fold:
        """Score the answers for held-out rows."""
        return cls(**summary(actual, predicted), rows=len(actual))


@dataclass(frozen=True)
class Member:
    """A model that was trained on all folds but one.

    Attributes:
        model: the model.
        held_out: numbers of the m rows that were held out.
        answers: probabilities of these, shape (m, classes).
        score: what they came to.
        history: every epoch.
    """

    model: Fusion
    held_out: NDArray[np.intp]
    answers: NDArray[np.float64]
    score: Fold
    history: list[Epoch]


@dataclass(frozen=True)
class Trained:
    """The members of a model, one a fold and seed, and how they came about.

    Attributes:
        members: the models.
        folds: what each came to.
        history: every epoch of each.
        held_out: probabilities of the training rows, shape (n, classes), each pooled from members that never met its
            group, one a seed.
    """

    members: list[Fusion]
    folds: list[Fold]
    history: list[Epoch]
    held_out: NDArray[np.float64]


@dataclass(frozen=True)
class MemberJob:
    """One member to train, as it is sent to a process: arrays, since tensors go through memory that containers lack.

    Attributes:
        make: makes the model with fresh weights.
        rows: all labelled rows of the training split, as arrays.
        dialogues: of each of n rows, as numbers.
        fit: numbers of the rows that are trained on.
        held_out: numbers of those that are held out.
        params: how to train.
        seed: decides weights and batches.
        number: of the member.
    """

    make: Callable[[], Fusion]
    rows: Any
    dialogues: NDArray[np.int64]
    fit: NDArray[np.intp]
    held_out: NDArray[np.intp]
    params: TrainParams
    seed: int
    number: int


def train(make: Callable[[], Fusion], rows: Rows, origins: Origins, params: TrainParams, seed: int) -> Trained:
    """Train a member a fold, as many times as there are seeds, in this process.

    Args:
        make: makes a model with fresh weights.
        rows: the labelled rows of the training split.
        origins: of each row.
        params: how to train.
        seed: decides folds, weights and batches.

    Raises:
        DataError: there are fewer groups than folds.
    """
    return collected(map(train_member, jobs(make, rows, origins, params, seed)), len(rows.targets), params.seeds)


def collected(members: Iterable[Member], rows: int, seeds: int) -> Trained:
    """Put the members of a model together, each as it is trained; `rows` is how many were trained on."""
    models: list[Fusion] = []
    folds, history = [], []
    answers: NDArray[np.float64] | None = None
    times = np.zeros(rows, dtype=int)  # that each row was held out, once a seed
    for member in members:
        if answers is None:
            answers = np.zeros((seeds, rows, member.model.classes))
        answers[times[member.held_out], member.held_out] = member.answers
        times[member.held_out] += 1
        folds.append(member.score)
        history.extend(member.history)
        models.append(member.model)
    assert answers is not None
    return Trained(models, folds, history, log_pool(answers, [1 / seeds] * seeds))


def jobs(
    make: Callable[[], Fusion], rows: Rows, origins: Origins, params: TrainParams, seed: int
) -> Iterator[MemberJob]:
    """What `train`, which see, trains one after another."""
    targets = rows.targets.numpy()
    dialogues = np.unique(list(origins.dialogues), return_inverse=True)[1]
    arrays = rows.to_arrays()
    number = 0
    for shift in range(params.seeds):
        for fit, held_out in member_folds(targets, origins, params.folds, seed + shift):
            yield MemberJob(make, arrays, dialogues, fit, held_out, params, seed + number, number)
            number += 1


def train_all(wanted: Iterable[MemberJob]) -> Iterator[Member]:
    """Train members in as many processes as there are cores, and give them in order.

    A process has one thread, so that their number changes no byte. A GPU is used by one process alone.
    """
    workers = 1 if pick_device() == "cuda" else available_cores()
    if workers == 1:
        yield from map(train_member, wanted)
    else:
        with processes(workers) as submit:
            waiting: deque[Future[Member]] = deque()
            for job in wanted:
                waiting.append(submit(train_member, job))
                if len(waiting) > 2 * workers:  # what is sent ahead is held in memory
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def train_member(job: MemberJob) -> Member:
    """Train one member and answer the rows that it never met."""
    torch.set_num_threads(1)  # sums over a batch must not depend on how many threads share it
    device = pick_device()
    make_deterministic(job.seed)
    model = job.make().to(device)
    rows, dialogues = Rows.from_arrays(job.rows).to(device), torch.from_numpy(job.dialogues)
    fit, held_out = torch.from_numpy(job.fit), rows.take(torch.from_numpy(job.held_out).to(device))
    history = _fit(model, rows.take(fit.to(device)), dialogues[fit], held_out, job.params, job.number)
    answers = _logits(model, held_out.batch).double().softmax(dim=1).cpu().numpy()
    actual = held_out.targets.cpu().numpy()
    return Member(model.cpu(), job.held_out, answers, Fold.of(actual, answers.argmax(axis=1)), history)


def _fit(model: Fusion, rows: Rows, groups: Tensor, held_out: Rows, params: TrainParams, fold: int) -> list[Epoch]:
    """Train for a set number of steps, the learning rate rising and then falling to nothing (one cycle: Smith, 2018).

    What is kept is the exponential moving average of the weights over the steps (Polyak and Juditsky, 1992; as in
    torch.optim.swa_utils), of the epoch at which it has the best held-out weighted F1; equal scores are told apart by
    the loss. The last epoch's weights gave less on dev, of MELD and of the built-in corpus alike.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=params.learning_rate, weight_decay=params.weight_decay, fused=True
    )
    batches = math.ceil(len(rows.targets) / params.batch_size)
    count = max(params.epochs, math.ceil(params.steps / batches))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, params.learning_rate, epochs=count, steps_per_epoch=batches, pct_start=0.2, cycle_momentum=False
    )
    span = max(1.0, params.averaging * count * batches)  # steps
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / span))
    averaged = cast(Fusion, average.module)
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(model))
    generator = torch.Generator().manual_seed(torch.initial_seed())
    epochs: list[Epoch] = []
    best, best_state = (-1.0, 0.0), copy.deepcopy(model.state_dict())
    for epoch in range(1, count + 1):
        train_loss = _epoch(model, rows, groups, optimizer, schedule, params, generator)
        logits = _logits(averaged, held_out.batch)
        loss = cross_entropy(logits, held_out.targets).item()
        reached = summary(held_out.targets.cpu().numpy(), logits.argmax(dim=1).cpu().numpy())["weighted_f1"]
        epochs.append(Epoch(fold, epoch, train_loss, loss, reached))
        if (reached, -loss) > best:
            best, best_state = (reached, -loss), copy.deepcopy(averaged.state_dict())
    model.load_state_dict(best_state)
    return epochs


def _epoch(
    model: Fusion,
    rows: Rows,
    groups: Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    params: TrainParams,
    generator: torch.Generator,
) -> float:
    """One pass over the rows, drawn and changed anew; gives the mean loss."""
    model.train()
    device = rows.targets.device
    objective = Objective.fit(rows.targets, model.classes, params)
    order = draw(rows.targets.cpu(), groups if model.reads_context else None, params.balanced_sampling, generator)
    total = 0.0
    for index in order.split(params.batch_size):
        part = rows.take(index.to(device))
        loss = model.loss(augment(part.batch, part.targets, params, generator), part.targets, objective)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        total += loss.item() * len(index)
    return total / len(rows.targets)


@torch.inference_mode()
def _logits(model: Fusion, batch: Batch) -> Tensor:
    model.eval()
    logits: Tensor = model(batch)
    return logits
