"""Answers utterances: clips in worker processes, text and fusion in this one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from emofuse.core.device import available_cores
from emofuse.core.params import ServeParams
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, Utterance
from emofuse.inference.heard import Heard, listener
from emofuse.inference.offline import look_of
from emofuse.inference.prediction import Prediction
from emofuse.inference.predictor import Predictor
from emofuse.media.windows import Look
from emofuse.service.batcher import Batcher
from emofuse.service.clock import timed
from emofuse.service.errors import RefusedError
from emofuse.service.listening import Listening
from emofuse.service.media_pool.pool import MediaPool
from emofuse.service.media_pool.protocol import Done, ExtractJob, MemoryJob, PackedClip
from emofuse.service.parsing import ParsedRequest
from emofuse.service.schemas import DialogueContext, Modality, PredictResponse, SeenPerson

# Of the files that may be sent, those that a modality is extracted from: the first that there is.
SOURCES = {"audio": ("audio", "video"), "visual": ("video",), "metadata": ("video", "audio")}
MEDIA = ("audio", "visual")  # absent without a clip


class Answers:
    """A predictor with its worker processes."""

    def __init__(self, predictor: Predictor, limits: ServeParams) -> None:
        self.predictor = predictor
        self.limits = limits
        self._modalities = set(predictor.bundle.extractors)
        extractors = {m: p for m, p in predictor.bundle.extractors.items() if m in SOURCES}
        self.pool = MediaPool(extractors, limits, predictor.bundle.assets)
        self.listening = Listening(limits, listener(limits, predictor.bundle))
        self._batcher = Batcher(predictor, limits.batch)

    async def start(self) -> None:
        """Load and warm up everything."""
        # The workers decode on the other cores; threads that wait for a core by spinning would cost ten times more.
        torch.set_num_threads(max(1, available_cores() // 2))
        here = [modality for modality in self._modalities if modality not in MEDIA]
        await asyncio.gather(self.pool.start(), self.listening.start(), asyncio.to_thread(self.predictor.warm_up, here))
        await self.answer(ParsedRequest("warm up", DialogueContext()))

    async def stop(self) -> None:
        """End the worker processes."""
        await asyncio.gather(self.pool.stop(), self.listening.stop())
        self._batcher.close()

    async def answer(self, request: ParsedRequest) -> PredictResponse:
        """Answer one utterance.

        Raises:
            RefusedError: its clip can't be decoded, is over a limit, or no worker is free.
        """
        seconds: dict[str, float] = {}
        people: list[SeenPerson] = []
        with timed(seconds, "total"):
            heard = await self._heard(request, seconds)
            utterance = as_utterance(request if heard is None else replace(request, text=heard.text))
            if request.files:
                done = await self._extract(utterance, request.files, seconds)
                rows, people = done.extracted(), done.people
            else:
                rows = {m: Extracted(None, utterance.clip_reason) for m in MEDIA if m in self._modalities}
            prediction, spent = await self._batcher.answer(utterance, rows)
        return as_response(prediction, seconds | spent, people, heard)

    async def _heard(self, request: ParsedRequest, seconds: dict[str, float]) -> Heard | None:
        """The words of a request that wants them and has none."""
        if not request.transcribe:
            return None
        self.listening.check()
        file = next((request.files[name] for name in SOURCES["audio"] if name in request.files), None)
        if file is None or request.text.strip():
            return None
        with timed(seconds, "listening"):
            return await self.listening.hear(file)

    async def answer_memory(self, utterance: Utterance, clip: PackedClip, data: bytes, start: float) -> PredictResponse:
        """Answer a window of a film or of a live camera.

        Args:
            utterance: what is known of it.
            clip: the window.
            data: its bytes.
            start: of the window, in seconds.

        Raises:
            RefusedError: a picture can't be decoded, or no worker is free.
        """
        seconds: dict[str, float] = {}
        with timed(seconds, "total"):
            wanted = tuple(modality for modality in SOURCES if modality in self._modalities)
            done = await self._done(MemoryJob(utterance, wanted, clip, self.look.width), seconds, data)
            prediction, spent = await self._batcher.answer(utterance, done.extracted())
        return as_response(prediction, seconds | spent, [_later(person, start) for person in done.people])

    @property
    def ready(self) -> bool:
        """Whether clips can be answered."""
        return self.pool.ready

    @property
    def look(self) -> Look:
        """What the extractors look at of a video."""
        return look_of(self.predictor)

    async def _extract(self, utterance: Utterance, files: Mapping[str, Path], seconds: dict[str, float]) -> Done:
        chosen = {
            modality: next((name for name in SOURCES[modality] if name in files), None)
            for modality in SOURCES
            if modality in self._modalities
        }
        return await self._done(ExtractJob(utterance, files, chosen), seconds)

    async def _done(self, job: ExtractJob | MemoryJob, seconds: dict[str, float], data: bytes = b"") -> Done:
        with timed(seconds, "workers"):
            done = await self.pool.extract(job, data)
        if done.refused:
            raise RefusedError(
                422, f"{done.refused}, expected a clip such as mp4, mov, webm or wav; check that the file plays"
            )
        seconds.update(done.seconds)
        return done


def as_utterance(request: ParsedRequest) -> Utterance:
    """What extractors may look at, less the clip."""
    context = request.context
    return Utterance(
        text=request.text,
        position=context.rank,
        dialogue_length=context.dialogue_length,
        speaker=context.speaker,
        start=context.start,
        end=context.end,
        context=tuple(line.line() for line in context.lines),
        clip_reason=Cause(Reason.NO_VIDEO_SENT),
    )


def _later(person: SeenPerson, seconds: float) -> SeenPerson:
    faces = [face.model_copy(update={"time": round(seconds + face.time, 3)}) for face in person.faces]
    return person.model_copy(update={"faces": faces})


def as_response(
    prediction: Prediction, seconds: Mapping[str, float], people: Sequence[SeenPerson], heard: Heard | None = None
) -> PredictResponse:
    """The answer as it is sent."""
    faces = sorted((face for one in people if one.speaker for face in one.faces), key=lambda face: face.time)
    modalities = {
        name: Modality(**dict(use), faces=faces if name == "visual" else [])
        for name, use in prediction.modalities.items()
    }
    rounded = {step: round(spent, 6) for step, spent in seconds.items()}
    parts = {"modalities": modalities, "people": list(people), "heard": heard, "seconds": rounded}
    return PredictResponse(**dict(prediction) | parts)
