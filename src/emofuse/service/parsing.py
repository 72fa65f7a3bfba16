"""From a request to what is known of utterances. BentoML's own parsing is not used: it fetches URLs that stand in file
fields and reads the text "123" as a number."""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from emofuse.core.params import ServeParams
from emofuse.service.body import FORM_BYTES, media_type
from emofuse.service.errors import RefusedError
from emofuse.service.schemas import DialogueContext, NamedItem, PredictRequest, UtteranceRequest

M = TypeVar("M", bound=BaseModel)
FILES = ("video", "audio")
JSON, FORM = "application/json", "multipart/form-data"
ASK = "send at least one of video (a clip), audio (a sound file) and utterance (a text), as multipart/form-data or JSON"
NOT_JSON = {  # what is sent as JSON now and then, by its first bytes
    b"\x1f\x8b": "a gzip file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"PK\x03\x04": "a zip file",
    codecs.BOM_UTF16_LE: "text in UTF-16",
    codecs.BOM_UTF16_BE: "text in UTF-16",
    b"--": "a multipart body",
}


@dataclass(frozen=True)
class ParsedRequest:
    """What is known of one utterance; its files are named `video` and `audio`."""

    text: str
    context: DialogueContext
    files: Mapping[str, Path] = field(default_factory=dict)
    transcribe: bool = False


def kind_of(request: Request) -> str:
    """The content type.

    Raises:
        RefusedError: it is neither JSON nor a form, or the body is compressed.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise RefusedError(422, f"found a body with content encoding {coding}; send it uncompressed")
    kind = media_type(request.headers.get("content-type", ""))
    if kind in (JSON, FORM):
        return kind
    if kind:
        raise RefusedError(422, f"found content type {kind}; {ASK}")
    empty = request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
    raise RefusedError(422, f"found {'an empty request' if empty else 'a body without a content type'}; {ASK}")


async def body_of(request: Request) -> bytes:
    """The body of a request as JSON in UTF-8, `{}` where it is empty.

    Raises:
        RefusedError: it is something else, known by how it begins.
    """
    body = await request.body()
    for start, kind in NOT_JSON.items():
        if body.startswith(start):
            raise RefusedError(422, f"found {kind}, expected JSON in UTF-8; {ASK}")
    return body.removeprefix(codecs.BOM_UTF8) or b"{}"


async def read_one(request: Request, folder: Path, limits: ServeParams) -> ParsedRequest:
    """Read one utterance and put its files into the folder, which is made for them.

    Raises:
        RefusedError: the body is not as described.
    """
    if kind_of(request) == JSON:
        whole = validated(PredictRequest, await body_of(request))
        return await _stored(whole, {name: getattr(whole, name) for name in FILES}, folder, limits)
    async with opened_form(request, {*FILES, "utterance", "context", "transcribe"}) as form:
        context = await field_text(form.get("context"))
        asked = UtteranceRequest(
            utterance=await field_text(form.get("utterance")),
            context=validated(DialogueContext, context) if context else None,
            transcribe=flag("transcribe", await field_text(form.get("transcribe"))),
        )
        return await _stored(asked, {name: file_part(form, name) for name in FILES}, folder, limits)


async def read_items(request: Request, folder: Path, limits: ServeParams) -> list[ParsedRequest | RefusedError]:
    """Read several utterances; what can't be read of one is an error in its place.

    Raises:
        RefusedError: the body is not as described.
    """
    if kind_of(request) == JSON:
        whole = parsed(await body_of(request))
        items = _items(whole.get("items") if isinstance(whole, dict) and set(whole) == {"items"} else None, limits)
        return [await _item(raw, index, None, folder, limits) for index, raw in enumerate(items)]
    async with opened_form(request) as form:
        items = _items(parsed((await field_text(form.get("items")) or "[]").encode()), limits)
        return [await _item(raw, index, form, folder, limits) for index, raw in enumerate(items)]


def parsed(raw: bytes) -> Any:
    """Any JSON.

    Raises:
        RefusedError: it is none.
    """
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise RefusedError(422, f"items: found no JSON: {error}") from None


def _items(items: Any, limits: ServeParams) -> list[Any]:
    if not isinstance(items, list) or not items:
        raise RefusedError(422, 'found no list of items; expected {"items": [{"utterance": "..."}, ...]}')
    if len(items) > limits.items:
        raise RefusedError(422, f"items: found {len(items)}, expected at most {limits.items}; send several batches")
    return items


async def _item(
    raw: Any, index: int, form: FormData | None, folder: Path, limits: ServeParams
) -> ParsedRequest | RefusedError:
    inside = folder / str(index)
    try:
        if form is None:
            asked: UtteranceRequest = validated(PredictRequest, json.dumps(raw))
            return await _stored(asked, {name: getattr(asked, name) for name in FILES}, inside, limits)
        named = validated(NamedItem, json.dumps(raw))
        return await _stored(named, {name: _named(form, getattr(named, name), name) for name in FILES}, inside, limits)
    except RefusedError as error:
        return error


def _named(form: FormData, part: str | None, name: str) -> UploadFile | None:
    if part is None:
        return None
    file = file_part(form, part)
    if file is None:
        raise RefusedError(422, f"{name}: found no file part {part!r}; send it as one (curl -F {part}=@clip.mp4)")
    return file


@asynccontextmanager
async def opened_form(request: Request, fields: set[str] | None = None) -> AsyncIterator[FormData]:
    """A multipart body, each of its fields once; only those named where any are.

    Raises:
        RefusedError: it is broken or has other fields.
    """
    try:
        form = await _WholeForm(request.headers, request.stream(), max_part_size=FORM_BYTES).parse()
    except MultiPartException as error:
        raise RefusedError(400, f"found a broken multipart body: {error.message}; {ASK}") from None
    try:
        if len(form.multi_items()) > len(form):
            raise RefusedError(422, "found a field twice, expected each once")
        unknown = sorted(set(form) - fields) if fields else []
        if fields and unknown:
            raise RefusedError(422, f"found unknown fields {', '.join(unknown)}; expected {', '.join(sorted(fields))}")
        yield form
    finally:
        await form.close()  # the spooled files of an upload


class _WholeForm(MultiPartParser):
    """Starlette's reader of forms, which leaves out the part that a body breaks off in, without a word."""

    _ended = False

    def on_end(self) -> None:
        """Note the boundary that ends the body."""
        self._ended = True

    async def parse(self) -> FormData:
        """The form.

        Raises:
            MultiPartException: the body is broken, or ends before its last boundary.
        """
        form = await super().parse()
        if not self._ended:
            await form.close()
            raise MultiPartException("found no last boundary, so that what it held is not whole")
        return form


def file_part(form: FormData, name: str) -> UploadFile | None:
    """A file of a form; None where there is none, as with an HTML form's field in which no file was chosen.

    Raises:
        RefusedError: it is a text.
    """
    part = form.get(name)
    if isinstance(part, str) and part:
        raise RefusedError(
            422, f"{name}: found text, expected a file; send it as a file part (curl -F {name}=@clip.mp4)"
        )
    return part if isinstance(part, UploadFile) and (part.filename or part.size) else None


async def field_text(part: UploadFile | str | None) -> str | None:
    """A text of a form, whether sent as a field or as a file."""
    return (await part.read()).decode("utf-8", "replace") if isinstance(part, UploadFile) else part


def flag(name: str, text: str | None) -> bool:
    """Whether a field of a form is set.

    Raises:
        RefusedError: it is neither true nor false.
    """
    word = (text or "false").strip().lower()
    if word not in ("true", "false"):
        raise RefusedError(422, f"{name}: found {word[:40]!r}, expected true or false")
    return word == "true"


async def _stored(
    asked: UtteranceRequest, files: Mapping[str, UploadFile | bytes | None], folder: Path, limits: ServeParams
) -> ParsedRequest:
    text, context = asked.utterance or "", asked.context or DialogueContext()
    lines = {f"context.lines.{number}.text": line.text for number, line in enumerate(context.lines)}
    for name, line in {"utterance": text, **lines}.items():
        if len(line) > limits.text:
            raise RefusedError(422, f"{name}: found {len(line)} characters, expected at most {limits.text}; shorten it")
    paths = {}
    for name, file in files.items():
        if file is not None:
            folder.mkdir(parents=True, exist_ok=True)
            paths[name] = folder / name
            size = await run_in_threadpool(store, file, paths[name])
            if size == 0:
                raise RefusedError(422, f"{name}: found an empty file (0 bytes), expected a clip such as mp4 or wav")
    if not paths and not text.strip():
        raise RefusedError(422, f"found neither; {ASK}")
    return ParsedRequest(text, context, paths, asked.transcribe)


def store(file: UploadFile | bytes, path: Path) -> int:
    """Write an uploaded file; returns its bytes."""
    with path.open("wb") as target:
        if isinstance(file, bytes):
            target.write(file)
        else:
            file.file.seek(0)  # another item may have named the part before
            shutil.copyfileobj(file.file, target, 2**20)
        return target.tell()


def validated(model: type[M], raw: str | bytes) -> M:
    """Parse JSON.

    Raises:
        RefusedError: it is not as the model says; all that is wrong is named.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, part['loc'])) or 'body'}: {part['msg'].removeprefix('Value error, ')}"
            for part in error.errors()
        ]
        raise RefusedError(422, "; ".join(problems)) from None
