"""The rows of a user's table, answered, and written back with their answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from emofuse.core.errors import DataError
from emofuse.core.files import writable
from emofuse.core.progress import progress
from emofuse.core.tables import utterances, write_csv
from emofuse.core.text import normal_form
from emofuse.datasets.clips import ClipFolder
from emofuse.datasets.user_tables import UserTable, read_user_table
from emofuse.inference.hearing import hear_clips
from emofuse.inference.offline import Answer, answered, unfamiliar_modalities
from emofuse.inference.predictor import Predictor

COLUMNS = ("clip", "text", "dialogue", "speaker")


def read_questions(path: Path) -> UserTable:
    """A table with any of the columns `clip` (a path, relative to the file), `text`, `dialogue` and `speaker`.

    Raises:
        DataError: it can't be read, or has neither clips nor texts.
    """
    table = read_user_table(path, (), COLUMNS)
    if not table.has("clip") and not table.has("text"):
        raise DataError(f"{path}: found columns {', '.join(table.headings)}; expected clip or text, or both")
    return table


def answer_table(
    predictor: Predictor, table: UserTable, folder: Path, named: tuple[str, str | None] | None = None
) -> Iterator[Answer]:
    """Answer each row, in order; one that can't be answered, or whose cells may be another's, is an error in its place.

    Args:
        predictor: answers.
        table: the rows; those of a dialogue, in their order, are each other's context.
        folder: what the paths of clips are relative to.
        named: the recogniser, and the language; all rows with a clip and no text are heard before the first is
            answered, since their words are context of others. `heard` tells of each row's words then.

    Raises:
        EncoderError: the recogniser can't be loaded.
    """
    rows = question_rows(table, folder)
    heard: list[Answer] = [{}] * len(rows)
    if named is not None:
        pairs = list(progress(hear_clips(utterances(rows, folder), named), "listen", len(rows), "utterance"))
        rows["text"] = [utterance.text for utterance, _ in pairs]
        heard = [{"heard": words and words.model_dump()} for _, words in pairs]
    whole = [utterance for utterance, torn in zip(utterances(rows, folder), table.torn, strict=True) if not torn]
    answers = answered(predictor, whole)
    for issues, torn, own in zip(rows["issues"], table.torn, heard, strict=True):
        if torn:
            yield {"error": "; ".join(issues)} | own
        else:
            answer = next(answers)
            yield answer | {"note": "; ".join(filter(None, [answer.get("note", ""), *issues]))} | own


def question_rows(table: UserTable, folder: Path) -> pd.DataFrame:
    """The rows under the manifest's names, with their clips and their places in their dialogues."""
    rows = table.as_rows({name: name for name in COLUMNS if table.has(name)})
    if "dialogue" in rows:
        rows["dialogue"] = rows["dialogue"].map(normal_form, na_action="ignore").replace("", None)
        dialogues = rows.groupby("dialogue")
        rows["position"] = dialogues.cumcount().where(rows["dialogue"].notna())
        rows["dialogue_length"] = dialogues["row"].transform("size")
    if "clip" in rows:
        clips = ClipFolder(folder)
        located = [clips.locate(clip) if isinstance(clip, str) else (None, []) for clip in rows["clip"]]
        # Here a path may lead anywhere: what is not in the folder is for the decoder to find.
        rows["clip"] = [path or clip or None for (path, _), clip in zip(located, rows["clip"], strict=True)]
        rows["issues"] = [
            issues + (more if path else []) for issues, (path, more) in zip(rows["issues"], located, strict=True)
        ]
    return rows


def write_answers(table: UserTable, answers: Sequence[Answer], path: Path) -> list[str]:
    """Write the rows with `label`, `p_<class>`, `unfamiliar`, `note` and `error` beside them, aside and then renamed.

    `unfamiliar` names the modalities that are unlike what the model was trained on; where rows were heard, `heard`
    holds the words.

    Returns:
        Which of the table's columns got another name, since two of a name could not be told apart.

    Raises:
        DataError: the file can't be written.
    """
    shares: list[Mapping[str, float]] = [answer.get("probabilities", {}) for answer in answers]
    words = [(answer.get("heard") or {}).get("text", "") for answer in answers]
    own = {
        "label": [answer.get("label", "") for answer in answers],
        **({"heard": words} if any("heard" in answer for answer in answers) else {}),
        **{f"p_{name}": [share.get(name) for share in shares] for name in next(filter(None, shares), {})},
        "unfamiliar": [unfamiliar_modalities(answer) for answer in answers],
        "note": [answer.get("note", "") for answer in answers],
        "error": [answer.get("error", "") for answer in answers],
    }
    names: list[str] = []
    for heading in table.headings:
        while heading in own or heading in names:
            heading = f"input_{heading}"
        names.append(heading)
    rows = pd.DataFrame(table.rows, columns=names, dtype=str)
    with writable(path):
        write_csv(path, pd.concat([rows, pd.DataFrame(own)], axis=1))
    renamed = [(heading, name) for heading, name in zip(table.headings, names, strict=True) if heading != name]
    return [f"the table's column {heading!r} is written as {name!r}" for heading, name in renamed]
