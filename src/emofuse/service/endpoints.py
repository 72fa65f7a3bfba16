"""What answers each path of the interface."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

from emofuse.core.learnt import Reached
from emofuse.core.params import ServeParams
from emofuse.inference.predictor import Predictor
from emofuse.service.access import Access
from emofuse.service.concurrency import Places
from emofuse.service.errors import RefusedError
from emofuse.service.folders import Folders
from emofuse.service.inference import Answers
from emofuse.service.live import Live
from emofuse.service.openapi import NDJSON
from emofuse.service.parsing import ParsedRequest, read_items, read_one
from emofuse.service.schemas import BatchResponse, ModelResponse, PredictResponse, Problem
from emofuse.service.timeline import Timelines, answer_lines, read_timeline, streamed

# Of models and a language: no limits.
NAMES = {name for name, info in ServeParams.model_fields.items() if info.annotation == str | None}


@dataclass(frozen=True)
class Served:
    """What is served: the predictor, what it reaches, and its card as Markdown."""

    predictor: Predictor
    reached: Reached = field(default_factory=Reached)
    card: str | None = None


class Endpoints:
    """The paths' functions; their docstrings are the interface's own description.

    Args:
        load: gives what is served, at start.
        limits: what is refused.
    """

    def __init__(self, load: Callable[[], Served], limits: ServeParams) -> None:
        self._load = load
        self._limits = limits
        self._access = Access.from_environment(limits)
        self._places = Places(limits.concurrent, limits.request_seconds)
        self._lives = Places(limits.lives, limits.request_seconds)
        self._timelines = Places(limits.timelines, limits.request_seconds)
        self._served: Served
        self._answers: Answers
        self._folders: Folders

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Load and warm up what is served before the first request, and end it after the last."""
        logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it logs bytes of a broken body
        self._served = await asyncio.to_thread(self._load)
        self._answers = Answers(self._served.predictor, self._limits)
        self._folders = Folders()
        try:
            await self._answers.start()
            # What is loaded now stays: looking through it for garbage would hold up requests for a third of a second.
            gc.collect()
            gc.freeze()
            yield
            await self._answers.stop()
        finally:
            gc.unfreeze()
            self._folders.close()

    def ready(self) -> bool:
        """Whether what is asked for can be answered: not where no process that opens clips can be started."""
        return self._answers.ready

    def authenticate(self, request: Request) -> None:
        """Let a request in.

        Raises:
            RefusedError: it has no key that is known, or one that was used too often.
        """
        self._access.check(request.headers)

    async def predict(self, request: Request) -> PredictResponse:
        """Recognise the emotion of one utterance from what is known of it."""
        async with self._places.taken():
            with self._folders.one() as folder:
                return await self._answers.answer(await read_one(request, folder, self._limits))

    async def predict_batch(self, request: Request) -> BatchResponse:
        """Answer several utterances, in order; one that can't be answered has its error in its place."""
        async with self._places.taken():
            with self._folders.one() as folder:
                items = await read_items(request, folder, self._limits)
                return BatchResponse(answers=await asyncio.gather(*map(self._one, items)))

    async def timeline(self, request: Request) -> StreamingResponse:
        """Answer each window of a film, a line of JSON each, as soon as it is done.

        Where speakers are asked for, all is heard first; lines say how far.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._timelines.taken(timed=False))
            await stack.enter_async_context(self._places.taken(timed=False))
            folder = stack.enter_context(self._folders.one())
            timelines = Timelines(self._answers, self._limits)
            lines = answer_lines(timelines, await read_timeline(request, folder, self._limits))
            first = await anext(lines)  # what is no video is refused before anything is sent
            return StreamingResponse(streamed(first, lines, stack.pop_all()), media_type=NDJSON)
        raise AssertionError("unreachable")

    async def live(self, socket: WebSocket) -> None:
        """Answer a live camera every hop."""
        await socket.accept()
        try:
            async with self._lives.taken(timed=False):
                await Live(self._answers, self._access, self._limits, self._folders).serve(socket)
        except RefusedError as error:
            await socket.send_text(Problem(error=str(error)).model_dump_json())
        with suppress(RuntimeError, WebSocketDisconnect):  # closed already
            await socket.close()

    async def model(self) -> ModelResponse:
        """Describe the model: what it has learnt from, its labels, modalities, scores, limits and card."""
        bundle, reached = self._served.predictor.bundle, self._served.reached
        return ModelResponse(
            name=bundle.name,
            version=bundle.version,
            labels=list(bundle.labels),
            modalities=list(bundle.features),
            features={modality: len(names) for modality, names in bundle.features.items()},
            trained_on=bundle.learnt_from.sentence,
            synthetic=bundle.learnt_from.synthetic,
            learnt_from=bundle.learnt_from,
            false_alarms=None if bundle.familiarity is None else bundle.familiarity.false_alarms,
            metrics={f"{split}_{name}": value for split, part in reached.home.items() for name, value in part.items()},
            elsewhere=list(reached.elsewhere),
            limits=self._limits.model_dump(exclude=NAMES),
            recogniser=self._answers.listening.recogniser,
            voices=self._answers.listening.voices,
            card=self._served.card,
        )

    async def _one(self, item: ParsedRequest | RefusedError) -> PredictResponse | Problem:
        try:
            if isinstance(item, RefusedError):
                raise item
            return await self._answers.answer(item)
        except RefusedError as error:
            return Problem(error=str(error))
