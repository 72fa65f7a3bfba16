"""`emofuse probe`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from emofuse.core.errors import ParamsError, guard
from emofuse.core.files import check_writable
from emofuse.core.params import ExtractorParams, load_params


class Classifier(StrEnum):
    """What is fitted on the features."""

    logistic = "logistic"
    linear_svm = "linear_svm"
    rbf_svm = "rbf_svm"


LEAST_WIDTH = 160  # characters of the table: narrower ones are unreadable
DEFAULT = (Classifier.logistic, Classifier.rbf_svm)
Column = Annotated[str | None, typer.Option(help="column of the table")]
Place = Annotated[Path | None, typer.Argument(help="a table or a folder; what ingest names unless given", exists=True)]


def probe_command(
    modality: Annotated[Literal["text", "audio", "visual", "metadata"], typer.Argument(help="whose features")],
    data: Place = None,
    layout: Annotated[str | None, typer.Option(help="of the folder; ingest.layout unless given")] = None,
    media: Column = None,
    text: Column = None,
    label: Column = None,
    dialogue: Column = None,
    speaker: Column = None,
    groups: Annotated[str | None, typer.Option(help="of features, by commas; params.yaml's unless given")] = None,
    classifier: Annotated[
        list[Classifier] | None,
        typer.Option(help="may be given several times; logistic and rbf_svm unless given"),
    ] = None,
    folds: Annotated[int, typer.Option(min=0, help="0 leaves one dialogue or speaker out at a time")] = 5,
    by: Annotated[
        Literal["auto", "dialogue", "speaker", "both", "row"] | None,
        typer.Option(help="what never is on both sides of a fold; ingest.apart unless given"),
    ] = None,
    to_dev: Annotated[bool, typer.Option("--to-dev", help="fit on train and score on dev instead of folds")] = False,
    out: Annotated[Path | None, typer.Option(help="write this with .json and .md")] = None,
) -> None:
    """Judge groups of features: each alone, all together and all but each, by simple classifiers."""
    with guard():
        params = load_params()
        section = _chosen(params.extractor(modality), groups)
        # What follows loads scikit-learn, torch and the like.
        from rich.console import Console

        from emofuse.core.apart import group_kind
        from emofuse.evaluation.probe.data import ingest_of, read_labelled
        from emofuse.evaluation.probe.run import probe
        from emofuse.evaluation.probe.table import described, outputs, shown, write_probe

        named = {"media": media, "text": text, "label": label, "dialogue": dialogue, "speaker": speaker}
        columns = {key: name for key, name in named.items() if name is not None}
        for path in outputs(out) if out else ():
            check_writable(path)
        ingest = ingest_of(params.ingest, data, layout, columns)
        ingest = ingest.model_copy(update={"apart": by or ingest.apart})
        labelled = read_labelled(ingest, to_dev, params.seed)
        result = probe(section, labelled, classifier or DEFAULT, folds, params.seed)
        protocol = "fitted on train, scored on dev" if to_dev else _folded(folds, group_kind(labelled.groups))
        name = "/".join((data or ingest.root).resolve().parts[-2:])
        content = described(result, name, modality, protocol)
        Console(width=max(Console().width, LEAST_WIDTH)).print(shown(content))
        if out is not None:
            write_probe(content, out)


def _folded(folds: int, kind: str) -> str:
    by = "dialogue and speaker" if kind == "both" else kind
    return f"{folds} folds by {by}" if folds else f"one {by} left out at a time"


def _chosen(params: ExtractorParams, groups: str | None) -> ExtractorParams:
    """The params with other groups.

    Raises:
        ParamsError: one of them is unknown.
    """
    if groups is None:
        return params
    wanted = [name.strip() for name in groups.split(",")]
    try:
        return type(params).model_validate(params.model_dump() | {"groups": wanted})
    except ValidationError as error:
        first = error.errors()[0]
        raise ParamsError(f"--groups: found {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}") from None
