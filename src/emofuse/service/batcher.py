"""Encoding and fusion: requests that come while a batch is computed make up the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from emofuse.core.records import Extracted, Utterance
from emofuse.inference.prediction import Prediction
from emofuse.inference.predictor import Predictor
from emofuse.service.clock import timed

Answer = tuple[Prediction, dict[str, float]]


@dataclass(frozen=True)
class _Item:
    utterance: Utterance
    precomputed: Mapping[str, Extracted]
    answer: asyncio.Future[Answer]


class Batcher:
    """Answers utterances one batch at a time, without waiting for a batch to fill.

    A lone request is answered at once; under load the batches grow by themselves to what arrives while one is computed.
    Texts of about the same length are padded to each other and encoded at once; only their own tokens count, so that an
    answer is the same, to rounding, whatever else is in its batch.

    Args:
        predictor: answers.
        most: utterances in a batch.
    """

    def __init__(self, predictor: Predictor, most: int) -> None:
        self._predictor = predictor
        self._most = most
        self._waiting: deque[_Item] = deque()
        self._running: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "batch")

    async def answer(self, utterance: Utterance, precomputed: Mapping[str, Extracted]) -> Answer:
        """Answer an utterance.

        Args:
            utterance: what is known of it.
            precomputed: the modalities that are extracted already.

        Returns:
            The prediction, and the seconds that its batch spent on text and fusion.
        """
        item = _Item(utterance, precomputed, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await item.answer

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            items = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            items = [item for item in items if not item.answer.done()]  # the client of some may be gone
            try:
                answers = await loop.run_in_executor(self._thread, self._compute, items)
            except Exception as error:  # whatever it is, those that wait for it get it, and the next batch is computed
                for item in items:
                    if not item.answer.done():
                        item.answer.set_exception(error)
                continue
            for item, answer in zip(items, answers, strict=True):
                if not item.answer.done():
                    item.answer.set_result(answer)

    def _compute(self, items: list[_Item]) -> list[Answer]:
        if not items:
            return []
        seconds: dict[str, float] = {}
        with timed(seconds, "text"):
            utterances = [item.utterance for item in items]
            tables = self._predictor.extract(utterances, [item.precomputed for item in items])
            lines = self._predictor.lines(utterances)
        with timed(seconds, "fusion"):
            predictions = self._predictor.answer(tables, lines)
        return [(prediction, seconds) for prediction in predictions]

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()
