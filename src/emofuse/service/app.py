"""The HTTP interface, independent of how it is served.

BentoML's own request parsing is not used: it fetches URLs that stand in file fields and reads the text "123" as a
number.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from emofuse.datasets.text import clean_text
from emofuse.errors import MediaError
from emofuse.media import probe_streams
from emofuse.predictor import Predictor
from emofuse.schema import Utterance
from emofuse.service.messages import Context, Modality, PredictRequest, PredictResponse, Problem

MAX_BYTES = 100 * 2**20
ASK = "send at least one of video (a clip) and utterance (a text), as multipart/form-data or JSON"


class RefusedError(Exception):
    """A request that can't be answered, with its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_app(predictor: Callable[[], Predictor]) -> FastAPI:
    """The application.

    Args:
        predictor: gives the loaded predictor; called once a request.
    """
    app = FastAPI(title="emofuse", docs_url=None, redoc_url=None, summary="Emotion of an utterance in a dialogue")
    # OpenCV's cascade keeps buffers between calls, so answers are computed one at a time.
    turn = Lock()

    def _answer(utterance: Utterance) -> PredictResponse:
        with turn:
            prediction = predictor().predict([utterance])[0]
        return PredictResponse(
            label=prediction.label,
            probabilities=prediction.probabilities,
            modalities={
                name: Modality(present=use.present, reason=use.reason, weight=use.weight)
                for name, use in prediction.modalities.items()
            },
            version=prediction.version,
        )

    @app.post("/predict", responses={status: {"model": Problem} for status in (400, 413, 422)}, openapi_extra=_BODY)
    async def predict(request: Request) -> PredictResponse:
        """Recognise the emotion of one utterance from what is known of it."""
        asked = await read_request(request)
        async with clip_file(asked.video) as clip:
            text = asked.utterance or ""
            if clip is None and not text.strip():
                raise RefusedError(422, f"found neither; {ASK}")
            context = asked.context or Context.model_construct(position=None, dialogue_length=None)
            utterance = Utterance(
                clip=clip,
                text=text,
                clean_text=clean_text(text),
                position=context.position,
                dialogue_length=context.dialogue_length,
                clip_reason="no video sent",
            )
            return await run_in_threadpool(_answer, utterance)

    @app.exception_handler(RefusedError)
    async def _refused(_: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, error.status)

    @app.exception_handler(HTTPException)
    async def _other(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    return app


async def read_request(request: Request) -> PredictRequest:
    """Parse a JSON or multipart body.

    Raises:
        RefusedError: the body is too large, of another type, or not as described.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > MAX_BYTES:
        raise RefusedError(413, f"found a body of {length} bytes, expected at most {MAX_BYTES}; send a shorter clip")
    if kind == "application/json":
        raw = await request.body()
        try:
            return PredictRequest.model_validate_json(raw or b"{}")
        except ValidationError as error:
            raise RefusedError(422, _told(error.errors())) from None
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        return await _read_form(request)
    raise RefusedError(422, f"found {'content type ' + kind if kind else 'an empty request'}; {ASK}")


async def _read_form(request: Request) -> PredictRequest:
    try:
        async with request.form() as form:  # closes the spooled files of an upload
            return await _from_form(form)
    except HTTPException as error:  # what Starlette makes of a broken multipart body
        raise RefusedError(400, f"found a broken multipart body: {error.detail}; {ASK}") from None
    except ValidationError as error:
        raise RefusedError(422, _told(error.errors())) from None


async def _from_form(form: FormData) -> PredictRequest:
    unknown = sorted(set(form) - {"video", "utterance", "context"})
    if unknown:
        raise RefusedError(422, f"found unknown fields {', '.join(unknown)}; expected video, utterance, context")
    video, utterance, context = form.get("video"), form.get("utterance"), form.get("context")
    if isinstance(video, str) and video:
        raise RefusedError(422, "video: found text, expected a file; send it as a file part (curl -F video=@clip.mp4)")
    return PredictRequest.model_construct(
        video=await video.read() if isinstance(video, UploadFile) else None,
        utterance=PredictRequest.model_validate({"utterance": await _text(utterance)}).utterance,
        context=Context.model_validate_json(str(await _text(context))) if context else None,
    )


async def _text(field: UploadFile | str | None) -> str | None:
    return (await field.read()).decode("utf-8", "replace") if isinstance(field, UploadFile) else field


@asynccontextmanager
async def clip_file(video: bytes | None) -> AsyncIterator[Path | None]:
    """Put an uploaded clip where decoders can open it; it is gone when the block ends.

    Raises:
        RefusedError: it is empty or no clip.
    """
    if video is None:
        yield None
        return
    if not video:
        raise RefusedError(422, "video: found an empty file (0 bytes), expected a clip such as mp4, mov or webm")
    handle, name = tempfile.mkstemp(prefix="emofuse-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(video)
        try:
            await run_in_threadpool(probe_streams, Path(name))
        except MediaError as error:
            raise RefusedError(
                422,
                f"video: {error} ({len(video)} bytes), expected a clip such as mp4, mov or webm; check the file plays",
            ) from None
        yield Path(name)
    finally:
        Path(name).unlink()


def _told(errors: Any) -> str:
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}" for error in errors)


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": PredictRequest.model_json_schema(ref_template="#/components/schemas/{model}")
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "video": {"type": "string", "format": "binary", "description": "a clip"},
                        "utterance": {"type": "string", "description": "what was said"},
                        "context": {"type": "string", "description": "the dialogue context, as JSON"},
                    },
                }
            },
        },
    }
}
