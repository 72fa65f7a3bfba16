"""A model without any data: classifiers that were trained elsewhere, made to a bundle once and kept."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel

from emofuse.core.device import pick_device
from emofuse.core.emotion_words import USUAL
from emofuse.core.errors import DataError
from emofuse.core.files import atomic_write
from emofuse.core.hub import absolute_name, hub_place
from emofuse.core.hub_classifiers import KNOWN_CLASSIFIERS, USUAL_CLASSIFIERS
from emofuse.core.numerics import current
from emofuse.core.params import PARAMS_FILE, Params
from emofuse.extraction.identity import encoder_identity
from emofuse.features.registry import class_labels, make_extractor
from emofuse.fusion.classifiers import classifier_sections, label_maps, pool_bundle
from emofuse.inference.bundle import save_bundle
from emofuse.inference.description import DESCRIPTION, FORMAT
from emofuse.inference.heard import installed_recogniser

T = TypeVar("T", bound=BaseModel)
MODALITIES = tuple(USUAL_CLASSIFIERS)


def choose_classifiers(params: Params, asked: Sequence[str]) -> Params:
    """Params that name the classifiers to take: those asked for, else those that they name, else the usual ones.

    Where no recogniser is named and the embedded one is installed, it hears the words. The weights and labels that
    params give are those of the classifiers that they name; where they name none, labels are for those asked for.

    Args:
        params: all of params.yaml.
        asked: each `MODALITY=NAME`, a name on the model hub or a local folder.

    Raises:
        DataError: one is not written so.
    """
    params = with_absolute_names(params)
    own = params.pretrained.named
    names = _asked(asked) if asked else own or USUAL_CLASSIFIERS
    section: dict[str, str | None] = {modality: names.get(modality) for modality in MODALITIES}
    recogniser = params.text.recogniser or installed_recogniser()
    given = {
        "weights": params.pretrained.weights if names == own else None,
        "labels": params.pretrained.labels if names == own or not own else {},
    }
    return params.model_copy(
        update={
            "pretrained": params.pretrained.model_copy(update=section | given),
            "text": params.text.model_copy(update={"recogniser": recogniser}),
        }
    )


def _asked(asked: Sequence[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for words in asked:
        modality, _, name = words.partition("=")
        if modality not in MODALITIES or not name or modality in names:
            raise DataError(
                f"--classifier {words!r}: expected one each of {', '.join(MODALITIES)}, such as text=FOLDER or "
                f"text={USUAL_CLASSIFIERS['text']}"
            )
        names[modality] = absolute_name(name)
    return names


def with_absolute_names(params: Params) -> Params:
    """The same with classifiers, recognisers and models of speakers by names that are good in any folder."""

    def renamed(section: T, *fields: str) -> T:
        """A section whose fields name models, each a name or None; a folder's is made absolute."""
        names = {field: getattr(section, field) for field in fields}
        return section.model_copy(update={field: name and absolute_name(name) for field, name in names.items()})

    return params.model_copy(
        update={
            "pretrained": renamed(params.pretrained, *MODALITIES),
            "text": renamed(params.text, "recogniser"),
            "serve": renamed(params.serve, "recogniser", "speakers"),
        }
    )


def write_service_params(params: Params, place: Path) -> None:
    """Write params beside the bundle that `made_once` made, for the service of that folder."""
    content = with_absolute_names(params).model_dump(mode="json")
    with atomic_write(place / PARAMS_FILE) as aside:
        aside.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def made_once(params: Params, agree: Callable[[list[str]], bool]) -> Path:
    """The folder of a bundle of the classifiers that params name, which answers with the usual seven classes.

    It is made at the first time and kept in the user's cache; a folder's classifier that has changed makes another.

    Args:
        params: all of params.yaml, from `choose_classifiers`.
        agree: whether to bring what the lines tell; asked where something must be brought from the hub.

    Raises:
        DataError: it was not agreed to.
        EncoderError: a classifier can't be brought or loaded, or is none.
        ParamsError: its labels can't be mapped.
    """
    sections, names = classifier_sections(params), params.pretrained.named
    about = {
        "format": FORMAT,
        "numerics": current(),
        "sections": {modality: section.model_dump(mode="json") for modality, section in sections.items()},
        "train": params.train.model_dump(mode="json"),
        "labels": params.pretrained.labels,
        "weights": params.pretrained.weights,
        "classifiers": {modality: encoder_identity(name) for modality, name in names.items()},
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    folder = _cache() / key / "models" / "champion"  # as a service wants it
    if (folder / DESCRIPTION).is_file():
        return folder
    far = [f"  {modality}: {_brought(name)}" for modality, name in names.items() if not Path(name).is_dir()]
    if far and not agree(["these classifiers were trained elsewhere and will be brought from the model hub:", *far]):
        raise DataError("nothing was brought; agree or give --yes, or name local folders: --classifier MODALITY=FOLDER")
    maps = label_maps(params, {modality: class_labels(section) for modality, section in sections.items()}, USUAL)
    features = {modality: make_extractor(section, pick_device()).names for modality, section in sections.items()}
    save_bundle(pool_bundle(params, USUAL, maps, features), folder)
    return folder


def _brought(name: str) -> str:
    place, _ = hub_place(name)
    if place in KNOWN_CLASSIFIERS:
        return KNOWN_CLASSIFIERS[place].brought(name)
    return f"{name}: see https://huggingface.co/{place} for its licence and what it has learnt from"


def _cache() -> Path:
    """By the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emofuse" / "pretrained"
