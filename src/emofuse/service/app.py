"""The HTTP interface, independent of how it is served."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from emofuse.params import ServeParams
from emofuse.predictor import Predictor
from emofuse.service.answers import Answers
from emofuse.service.body import BodyLimit
from emofuse.service.messages import BatchResponse, PredictResponse, Problem
from emofuse.service.openapi import REFUSALS, batch_body, predict_body
from emofuse.service.reading import Known, read_items, read_one
from emofuse.service.refusal import RefusedError, busy


def create_app(load: Callable[[], Predictor], limits: ServeParams) -> FastAPI:
    """The application.

    Args:
        load: gives the predictor, at start.
        limits: what is refused.
    """
    answers: list[Answers] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        answers[:] = [Answers(await asyncio.to_thread(load), limits)]
        await answers[0].start()
        yield
        await answers[0].stop()

    app = FastAPI(
        title="emofuse",
        summary="Emotion of an utterance in a dialogue",
        description="A score of emotion is not a reading of inner feeling.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, limits=limits)
    place = Places(limits)

    @app.post("/predict", responses=REFUSALS, openapi_extra=predict_body(limits))
    async def predict(request: Request) -> PredictResponse:
        """Recognise the emotion of one utterance from what is known of it."""
        async with place.taken() as folder:
            return await answers[0].answer(await read_one(request, folder, limits))

    @app.post("/predict_batch", responses=REFUSALS, openapi_extra=batch_body(limits))
    async def predict_batch(request: Request) -> BatchResponse:
        """Answer several utterances, in order; one that can't be answered has its error in its place."""
        async with place.taken() as folder:
            items = await read_items(request, folder, limits)
            return BatchResponse(answers=await asyncio.gather(*(_one(answers[0], item) for item in items)))

    @app.exception_handler(RefusedError)
    async def _refused(_: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def _other(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def _gone(_: Request, error: ClientDisconnect) -> JSONResponse:
        return JSONResponse({"error": "the client is gone"}, 400)  # which nobody reads

    return app


async def _one(answers: Answers, item: Known | RefusedError) -> PredictResponse | Problem:
    try:
        if isinstance(item, RefusedError):
            raise item
        return await answers.answer(item)
    except RefusedError as error:
        return Problem(error=str(error))


class Places:
    """The requests that are worked on or wait, each with a folder for its files, which is gone when it is answered."""

    def __init__(self, limits: ServeParams) -> None:
        self._limits = limits
        self._taken = 0

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[Path]:
        """Take a place.

        Raises:
            RefusedError: all are taken, or the request took too long.
        """
        if self._taken >= self._limits.concurrent:
            raise busy(f"{self._taken} requests are worked on, at most {self._limits.concurrent} may be")
        self._taken += 1
        try:
            with tempfile.TemporaryDirectory(prefix="emofuse-") as folder:
                async with asyncio.timeout(self._limits.request_seconds):
                    yield Path(folder)
        except TimeoutError:
            raise busy(f"no answer in {self._limits.request_seconds:g} s") from None
        finally:
            self._taken -= 1
