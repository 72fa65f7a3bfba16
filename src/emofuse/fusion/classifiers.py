"""Classifiers that were trained elsewhere as a bundle: what their labels mean, and what they have learnt from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from emofuse.core.emotion_words import class_of, is_emotion_word
from emofuse.core.errors import ParamsError, listed
from emofuse.core.hub import hub_place, pinned
from emofuse.core.hub_classifiers import KNOWN_CLASSIFIERS
from emofuse.core.learnt import UNSAID, LearntFrom, PretrainedClassifier
from emofuse.core.params import ExtractorParams, MetadataParams, Params, VisualParams, as_extracted
from emofuse.core.text import normal_label
from emofuse.features.pretrained import UNNAMED
from emofuse.fusion.names import PRETRAINED
from emofuse.fusion.opinion_pool import PretrainedPool
from emofuse.fusion.scaling import Scaler
from emofuse.fusion.trained_model import Bundle

Labels = Mapping[str, Sequence[str]]  # of each modality's classifier, in the order of its columns
UNFITTED = "Nothing was trained, fitted or measured on data."


def classifier_sections(params: Params) -> dict[str, ExtractorParams]:
    """How the classes of each modality's classifier are extracted, with what finds faces here."""
    sections = params.classifiers()
    for modality, section in sections.items():
        if isinstance(section, VisualParams):
            from emofuse.features.visual.detectors import as_installed

            sections[modality] = as_installed(section)
    return sections


def pool_bundle(
    params: Params,
    classes: Sequence[str],
    maps: Mapping[str, NDArray[np.float32]],
    features: Mapping[str, tuple[str, ...]],
) -> Bundle:
    """The classifiers as a bundle that is fitted to nothing: weights as given or all alike, temperature 1.

    Args:
        params: all of params.yaml.
        classes: of its answers.
        maps: from `label_maps`.
        features: the columns that each modality's extractor gives, those of the classifier's labels first.
    """
    widths = {modality: len(names) for modality, names in features.items()}
    pool = PretrainedPool(widths, len(classes))
    pool.set_maps(
        {m: torch.from_numpy(np.pad(own, ((0, 0), (0, widths[m] - own.shape[1])))) for m, own in maps.items()}
    )
    given = params.pretrained.weights
    sections = {m: as_extracted(section, features[m]) for m, section in params.classifiers().items()}
    classifiers = {m: _described(m, section) for m, section in sections.items()}
    pool.set_weights([1.0] * len(features) if given is None else [given[modality] for modality in features])
    pool.eval()
    return Bundle(
        name=PRETRAINED,
        labels=tuple(classes),
        features=features,
        extractors={m: own.model_copy(update={"encoder": classifiers[m].name}) for m, own in sections.items()},
        scalers={
            m: Scaler(np.zeros(width, np.float32), np.ones(width, np.float32), 1.0) for m, width in widths.items()
        },
        train=params.train,
        seed=params.seed,
        members=[pool],
        learnt_from=LearntFrom(
            corpus="; ".join(dict.fromkeys(each.learnt_from or UNSAID for each in classifiers.values())),
            licence="; ".join(f"{m}: {each.licence or UNSAID}" for m, each in classifiers.items()),
            protocol=UNFITTED,
            classifiers=tuple(classifiers.values()),
        ),
    )


def _described(modality: str, section: ExtractorParams) -> PretrainedClassifier:
    assert not isinstance(section, MetadataParams)
    name, sha256 = pinned(f"pretrained.{modality}", section.encoder)
    about = KNOWN_CLASSIFIERS.get(hub_place(name)[0])
    return PretrainedClassifier(
        modality=modality,
        name=name,
        sha256=sha256,
        learnt_from=about.learnt_from if about else None,
        licence=about.licence if about else None,
    )


def label_maps(params: Params, labels: Labels, classes: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """Which label of each classifier is which class, 0 or 1, of shape (classes, labels).

    `pretrained.labels` says so, else the words do (`core.emotion_words`). A word for an emotion that the data doesn't
    have is no class of it.

    Raises:
        ParamsError: labels are not named or not known, names stand for nothing, or a classifier says nothing of any
            class; all of it is told at once.
    """
    given = params.pretrained.labels
    problems = [*_wrong_names(given, labels, classes)]
    maps = {}
    for modality, own in labels.items():
        wanted = [_class(label, given, classes) for label in own]
        maps[modality] = np.array([[name == label for label in wanted] for name in classes], np.float32)
        unmapped = [label for label in own if normal_label(label) not in given and not _is_clear(label, classes)]
        name = f"pretrained.{modality} {params.pretrained.named[modality]!r}"
        if unmapped and all(map(UNNAMED.fullmatch, unmapped)):
            problems.append(f"{name} doesn't name its classes; {_ask(unmapped, classes)}")
        elif unmapped:
            problems.append(
                f"{name} has the labels {', '.join(unmapped)}, which nobody mapped; {_ask(unmapped, classes)}"
            )
        elif not maps[modality].any():
            problems.append(
                f"{name} has the labels {', '.join(own)}, none of which is a class of the data "
                f"({', '.join(classes)}); map them in pretrained.labels"
            )
    if problems:
        raise ParamsError(f"the labels of the classifiers can't be mapped\n{listed(problems)}")
    return maps


def _wrong_names(given: Mapping[str, str | None], labels: Labels, classes: Sequence[str]) -> Iterator[str]:
    everyone = sorted({label for own in labels.values() for label in own})
    strange = [name for name in given if name not in {normal_label(label) for label in everyone}]
    if strange:
        yield f"pretrained.labels names {', '.join(strange)}, but the classifiers' labels are {', '.join(everyone)}"
    for label, name in given.items():
        if name is not None and name not in {normal_label(each) for each in classes}:
            yield f"pretrained.labels says that {label} is {name}, but the data's classes are {', '.join(classes)}"


def _class(label: str, given: Mapping[str, str | None], classes: Sequence[str]) -> str | None:
    word = normal_label(label)
    if word not in given:
        return class_of(label, classes)
    return next((name for name in classes if normal_label(name) == given[word]), None)


def _is_clear(label: str, classes: Sequence[str]) -> bool:
    return class_of(label, classes) is not None or is_emotion_word(label)


def _ask(labels: Sequence[str], classes: Sequence[str]) -> str:
    example = ", ".join(f"{label}: {name}" for label, name in zip(labels[:2], (classes[0], "null"), strict=False))
    names = ", ".join(classes)
    return f"say in pretrained.labels which class of the data ({names}) each is, or null, such as {{{example}}}"
