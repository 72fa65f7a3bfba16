"""The HTTP interface, independent of how it is served."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Depends, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from emofuse.params import ServeParams
from emofuse.predictor import Predictor
from emofuse.service.access import Access
from emofuse.service.answers import Answers
from emofuse.service.body import BodyLimit
from emofuse.service.live import Live
from emofuse.service.messages import BatchResponse, ModelResponse, PredictResponse, Problem
from emofuse.service.openapi import NDJSON, REFUSALS, TIMELINE_RESPONSES, batch_body, predict_body, timeline_body
from emofuse.service.page import add_page
from emofuse.service.reading import Known, read_items, read_one
from emofuse.service.refusal import RefusedError, busy
from emofuse.service.timeline import Timelines, answer_lines, read_timeline, streamed


@dataclass(frozen=True)
class Served:
    """What is served: the predictor, its scores by split, and its card as Markdown."""

    predictor: Predictor
    metrics: Mapping[str, float] = field(default_factory=dict)
    card: str | None = None


def create_app(load: Callable[[], Served], limits: ServeParams) -> FastAPI:
    """The application.

    Args:
        load: gives what is served, at start.
        limits: what is refused.
    """
    served: list[Served] = []
    answers: list[Answers] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        served[:] = [await asyncio.to_thread(load)]
        running = Answers(served[0].predictor, limits)
        answers[:] = [running]
        await running.start()
        yield
        await running.stop()

    app = FastAPI(
        title="emofuse",
        summary="Emotion of an utterance in a dialogue",
        description="A score of emotion is not a reading of inner feeling.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, limits=limits)
    access = Access.from_environment(limits)

    def known(request: Request) -> None:
        access.check(request.headers)

    place = Places(limits.concurrent, limits.request_seconds)
    live_place = Places(limits.lives, limits.request_seconds)
    long_place = Places(limits.timelines, limits.request_seconds)

    @app.post("/predict", dependencies=[Depends(known)], responses=REFUSALS, openapi_extra=predict_body(limits))
    async def predict(request: Request) -> PredictResponse:
        """Recognise the emotion of one utterance from what is known of it."""
        async with place.taken() as folder:
            return await answers[0].answer(await read_one(request, folder, limits))

    @app.post("/predict_batch", dependencies=[Depends(known)], responses=REFUSALS, openapi_extra=batch_body(limits))
    async def predict_batch(request: Request) -> BatchResponse:
        """Answer several utterances, in order; one that can't be answered has its error in its place."""
        async with place.taken() as folder:
            items = await read_items(request, folder, limits)
            return BatchResponse(answers=await asyncio.gather(*(_one(answers[0], item) for item in items)))

    @app.get("/model", dependencies=[Depends(known)], responses={status: REFUSALS[status] for status in (401, 429)})
    async def model() -> ModelResponse:
        """Describe the model: its labels, modalities, scores, limits and card."""
        bundle = answers[0].predictor.bundle
        return ModelResponse(
            name=bundle.name,
            version=bundle.version,
            labels=list(bundle.labels),
            modalities=list(bundle.features),
            features={modality: len(names) for modality, names in bundle.features.items()},
            metrics=dict(served[0].metrics),
            limits=limits.model_dump(),
            card=served[0].card,
        )

    @app.post(
        "/timeline", dependencies=[Depends(known)], responses=TIMELINE_RESPONSES, openapi_extra=timeline_body(limits)
    )
    async def timeline(request: Request) -> StreamingResponse:
        """Answer each window of a long video, a line of JSON each, as soon as it is done."""
        async with AsyncExitStack() as stack:
            folder = await stack.enter_async_context(long_place.taken(timed=False))
            await stack.enter_async_context(place.taken(timed=False))
            lines = answer_lines(Timelines(answers[0], limits), await read_timeline(request, folder), folder)
            first = await anext(lines)  # what is no video is refused before anything is sent
            return StreamingResponse(streamed(first, lines, stack.pop_all()), media_type=NDJSON)
        raise AssertionError("unreachable")

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        """Answer a live camera every hop."""
        await socket.accept()
        try:
            async with live_place.taken(timed=False) as folder:
                await Live(answers[0], access, limits).serve(socket, folder)
        except RefusedError as error:
            await socket.send_text(Problem(error=str(error)).model_dump_json())
        with suppress(RuntimeError, WebSocketDisconnect):  # closed already
            await socket.close()

    @app.exception_handler(RefusedError)
    async def _refused(_: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def _other(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def _gone(_: Request, error: ClientDisconnect) -> JSONResponse:
        return JSONResponse({"error": "the client is gone"}, 400)  # which nobody reads

    add_page(app)
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

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._taken = 0

    @asynccontextmanager
    async def taken(self, timed: bool = True) -> AsyncIterator[Path]:
        """Take a place.

        Args:
            timed: whether the time of a request is limited.

        Raises:
            RefusedError: all are taken, or the request took too long.
        """
        if self._taken >= self._most:
            raise busy(f"{self._taken} requests are worked on, at most {self._most} may be")
        self._taken += 1
        try:
            with tempfile.TemporaryDirectory(prefix="emofuse-") as folder:
                async with asyncio.timeout(self._seconds if timed else None):
                    yield Path(folder)
        except TimeoutError:
            raise busy(f"no answer in {self._seconds:g} s") from None
        finally:
            self._taken -= 1
