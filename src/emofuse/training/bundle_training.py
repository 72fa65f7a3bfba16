"""From feature tables and params to trained, calibrated bundles: what the stages train and ensemble call, and you can.

Example, with the outs of `dvc repro scale`:

    manifest, params = read_manifest(), load_params()
    trained = train_bundle("early", manifest, read_all_features(manifest), load_scalers(SCALERS_FILE), params)
    save_bundle(trained.bundle, Path("models/mine"))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from emofuse.core.learnt import LearntFrom
from emofuse.core.params import Params
from emofuse.core.paths import FINETUNED_DIR
from emofuse.core.records import KEY, Extracted, FeatureTable
from emofuse.fusion.finetuned import FinetunedScores
from emofuse.fusion.inputs import make_batch
from emofuse.fusion.members import member_answer
from emofuse.fusion.names import ENSEMBLE
from emofuse.fusion.scaling import Scaler
from emofuse.fusion.trained_model import Bundle
from emofuse.training.calibration import fit_shares, fit_temperature, log_pool
from emofuse.training.dataset import TrainingSet, training_set
from emofuse.training.loop import Fold, MemberJob, Trained, collected, train_all, train_member
from emofuse.training.record import HeldOut, TrainedBundle
from emofuse.training.unfamiliar import Measurer


def train_bundle(
    name: str,
    manifest: pd.DataFrame,
    tables: Mapping[str, FeatureTable],
    scalers: Mapping[str, Scaler],
    params: Params,
    finetuned: Path = FINETUNED_DIR,
    learnt_from: LearntFrom | None = None,
) -> TrainedBundle:
    """Train one model in this process; arguments and errors as of `train_bundles`."""
    data = training_set(name, manifest, tables, scalers, params.train)
    jobs = list(data.jobs(params.train, params.seed))
    trained = collected(map(train_member, jobs), len(data.keys), params.train.seeds)
    return _bundled(data, trained, params, finetuned, learnt_from, _measurer(jobs, params))


def train_bundles(
    names: Sequence[str],
    manifest: pd.DataFrame,
    tables: Mapping[str, FeatureTable],
    scalers: Mapping[str, Scaler],
    params: Params,
    finetuned: Path = FINETUNED_DIR,
    learnt_from: LearntFrom | None = None,
) -> Iterator[TrainedBundle]:
    """Train several models, the members of all side by side on all cores, and give each as it is done.

    Args:
        names: of `TRAINED`.
        manifest: every row of the data; the labelled ones of the training split are trained on.
        tables: the features of these rows, of each modality.
        scalers: of each modality.
        params: how features were extracted and how to train.
        finetuned: where the finetuned encoders lie, if `text.finetune` asks for any.
        learnt_from: what the bundles will say of the data, as `ingest` wrote it; nothing is said unless given.

    Raises:
        DataError: there are fewer groups than folds.
    """
    sets = [training_set(name, manifest, tables, scalers, params.train) for name in names]
    jobs = [list(data.jobs(params.train, params.seed)) for data in sets]
    members, measurer = train_all(chain.from_iterable(jobs)), _measurer(jobs[0], params)
    for data, own in zip(sets, jobs, strict=True):
        trained = collected(islice(members, len(own)), len(data.keys), params.train.seeds)
        yield _bundled(data, trained, params, finetuned, learnt_from, measurer)


def make_ensemble(trained: Sequence[TrainedBundle], words: FeatureTable | None = None) -> TrainedBundle:
    """The members of several models in one bundle, weighted by how well they answer for held-out rows.

    Args:
        trained: the models, trained on the same rows; of each the bundle and the held-out answers are looked at.
        words: the text features of these rows, wanted where the bundles have finetuned encoders, which then are a
            member of their own.

    Raises:
        ValueError: they are wanted and not given.
    """
    first, held_out = trained[0].bundle, trained[0].held_out
    targets = held_out.targets
    answers = {each.bundle.name: each.held_out.probabilities for each in trained}
    parts = {each.bundle.name: (each.bundle.members, each.bundle.shares) for each in trained}
    if first.finetuned is not None:
        if words is None:
            raise ValueError("found bundles with finetuned encoders and no words, expected the text features")
        member = _finetuned_member(first, targets)
        answers[member.kind] = _finetuned_answers(first, member, words)
        parts[member.kind] = ([member], (1.0,))
    stacked = np.stack(list(answers.values()))
    weights = dict(zip(answers, fit_shares(stacked, targets), strict=True))
    mixed = log_pool(stacked, list(weights.values()))
    bundle = replace(
        first,
        name=ENSEMBLE,
        members=[member for members, _ in parts.values() for member in members],
        weights=tuple(weights[name] * share for name, (_, shares) in parts.items() for share in shares),
        temperature=fit_temperature(mixed, targets),
        version="",
    )
    fold = Fold.of(targets, mixed.argmax(axis=1))
    return TrainedBundle(bundle, replace(held_out, probabilities=mixed), [fold], shares=weights)


def _measurer(jobs: Sequence[MemberJob], params: Params) -> Measurer:
    """Over the folds of a model's members, of one seed."""
    return Measurer([(job.fit, job.held_out) for job in jobs[: len(jobs) // params.train.seeds]])


def _bundled(
    data: TrainingSet,
    trained: Trained,
    params: Params,
    finetuned: Path,
    learnt_from: LearntFrom | None,
    measurer: Measurer,
) -> TrainedBundle:
    held_out = HeldOut(data.keys[[*KEY, "label"]].reset_index(drop=True), data.labels, trained.held_out)
    temperature = fit_temperature(trained.held_out, held_out.targets)
    encoders = finetuned if params.text.finetune.epochs else None
    bundle = data.bundle(trained.members, params, temperature, encoders)
    bundle = replace(bundle, learnt_from=learnt_from or LearntFrom(), familiarity=measurer.familiarity(data))
    return TrainedBundle(bundle, held_out, trained.folds, trained.history)


def _finetuned_member(bundle: Bundle, targets: NDArray[np.int64]) -> FinetunedScores:
    widths = {name: scaler.width for name, scaler in bundle.scalers.items()}
    member = FinetunedScores(widths, len(bundle.labels)).fit(bundle.scalers["text"], torch.from_numpy(targets))
    member.eval()
    return member


def _finetuned_answers(bundle: Bundle, member: FinetunedScores, words: FeatureTable) -> NDArray[np.float64]:
    """What the finetuned encoders answer for the training rows, each by one that never met its group."""
    absent = [Extracted(None)] * len(words.present)
    tables = {name: FeatureTable.stack(names, absent) for name, names in bundle.features.items()} | {"text": words}
    probabilities: NDArray[np.float64] = member_answer(
        member, make_batch(tables, bundle.scalers, tuple(bundle.features))
    ).numpy()
    return probabilities
