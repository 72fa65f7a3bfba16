"""Long videos: windows are answered as they are cut, and sent as they are answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from emofuse.core.errors import DataError
from emofuse.core.params import ServeParams
from emofuse.core.records import Utterance
from emofuse.inference.heard import GrowingTranscript
from emofuse.inference.transcript import Transcript, parse_transcript
from emofuse.media.limits import Bounds
from emofuse.service.errors import RefusedError
from emofuse.service.inference import Answers
from emofuse.service.media_pool.protocol import Cut, Piece
from emofuse.service.parsing import FORM, field_text, file_part, flag, kind_of, opened_form, store, validated
from emofuse.service.schemas import Problem, TimelineAnswer, TimelineEnd, TimelineListening, TimelineOptions
from emofuse.transcription.words import HeardLine

Lines = AsyncGenerator[bytes, None]
NUMBERS: tuple[tuple[str, type[float], str], ...] = (
    ("window", float, "seconds such as 2.5"),
    ("hop", float, "seconds such as 2.5"),
    ("speaker_count", int, "a number such as 2"),
)
MOST_FPS = 240  # of a video whose frames are counted


@dataclass(frozen=True)
class TimelineRequest:
    """A film and how it is cut."""

    video: Path
    options: TimelineOptions
    transcript: Transcript


async def read_timeline(request: Request, folder: Path, limits: ServeParams) -> TimelineRequest:
    """Read a request and put its video into the folder, which is made for it.

    Raises:
        RefusedError: it is not as described, or asks for more work than the limits allow.
    """
    if kind_of(request) != FORM:
        raise RefusedError(422, "found JSON; send the video as multipart/form-data (curl -F video=@film.mp4)")
    async with opened_form(request, {"video", "transcript", *TimelineOptions.model_fields}) as form:
        options = await _options(form)
        text = await field_text(form.get("transcript"))
        try:
            transcript = await asyncio.to_thread(parse_transcript, text) if text and text.strip() else Transcript()
        except DataError as error:
            raise RefusedError(422, f"transcript: {error}") from None
        if options.transcribe and (transcript.lines or options.window or options.hop):
            raise RefusedError(422, "found transcribe and transcript, window or hop; send one way to cut the video")
        if options.speakers and not options.transcribe:
            raise RefusedError(422, "found speakers without transcribe; send both: lines are heard, then told apart")
        _check_work(options, transcript, limits)
        part = file_part(form, "video")
        if not isinstance(part, UploadFile):
            raise RefusedError(422, "found no video; send one (curl -F video=@film.mp4)")
        folder.mkdir()
        video = folder / "video"
        if await asyncio.to_thread(store, part, video) == 0:
            raise RefusedError(422, "video: found an empty file (0 bytes), expected a video such as mp4 or webm")
    return TimelineRequest(video, options, transcript)


def _check_work(options: TimelineOptions, transcript: Transcript, limits: ServeParams) -> None:
    """Refuse what would be far more work than the video is long."""
    if len(transcript.lines) > limits.timeline_lines:
        raise RefusedError(
            422,
            f"transcript: found {len(transcript.lines)} lines, expected at most {limits.timeline_lines}; "
            "send the video in parts",
        )
    if transcript.lines and options.window is None and options.hop is None:
        seconds, most = sum(end - start for start, end in _spans(transcript, limits)), limits.timeline_seconds
        if seconds > limits.timeline_overlap * most:
            raise RefusedError(
                422,
                f"transcript: found lines of {seconds:g} s in all, expected at most {limits.timeline_overlap:g} times "
                f"the {most:g} s of a video; let fewer of them overlap",
            )
        return
    window = options.window or limits.timeline_window
    hop = options.hop or window
    if window > limits.timeline_overlap * hop:
        raise RefusedError(
            422,
            f"hop: found windows of {window:g} s every {hop:g} s, {window / hop:g} times the work of the video, "
            f"expected at most {limits.timeline_overlap:g} times; send a hop of at least "
            f"{window / limits.timeline_overlap:g} s",
        )


def _spans(transcript: Transcript, limits: ServeParams) -> list[tuple[float, float]]:
    """The windows that a transcript's lines make, none longer than a clip may be."""
    return [(start, min(end, start + limits.seconds)) for start, end in transcript.spans()]


async def _options(form: FormData) -> TimelineOptions:
    texts = {name: await field_text(form.get(name)) for name in TimelineOptions.model_fields}
    given: dict[str, float | bool] = {
        name: _number(name, text, kind, example) for name, kind, example in NUMBERS if (text := texts[name])
    }
    given["transcribe"] = flag("transcribe", texts["transcribe"])
    given["speakers"] = flag("speakers", texts["speakers"]) or "speaker_count" in given
    return validated(TimelineOptions, json.dumps(given))


def _number(name: str, text: str, kind: type[float], example: str) -> float:
    try:
        return kind(text)
    except ValueError:
        raise RefusedError(422, f"{name}: found {text[:40]!r}, expected {example}") from None


Line = TimelineListening | TimelineAnswer | TimelineEnd


class Timelines:
    """Answers films with the service's own workers.

    Args:
        answers: answers a window.
        limits: of the videos.
    """

    def __init__(self, answers: Answers, limits: ServeParams) -> None:
        self._answers = answers
        self._limits = limits

    async def answer(self, asked: TimelineRequest) -> AsyncGenerator[Line, None]:
        """Answer each window, in order, then say how many there were.

        Where speakers are told apart, all is heard before the first answer, and how far is told.
        A few windows are worked on ahead; no more is cut than is answered, so that memory stays flat.

        Raises:
            RefusedError: the video can't be decoded, or is over a limit; where that shows in its middle, the windows so
                far are answered before.
        """
        began, count, end = time.perf_counter(), 0, 0.0
        refused: RefusedError | None = None
        waiting: deque[asyncio.Task[TimelineAnswer]] = deque()
        growing = GrowingTranscript([])
        pool = self._answers.listening if asked.options.transcribe else self._answers.pool
        try:
            async with aclosing(pool.cut(self._cut(asked))) as windows:
                while True:
                    try:
                        piece, data = await anext(windows)
                    except StopAsyncIteration:
                        break
                    except RefusedError as error:
                        refused = error
                        break
                    if piece.listening:
                        yield TimelineListening(listened=round(piece.end, 3))
                        continue
                    count, end = count + 1, piece.end
                    utterance = _utterance(piece, growing, asked.transcript)
                    waiting.append(asyncio.create_task(self._window(piece, data, utterance)))
                    while len(waiting) > self._answers.pool.size:
                        yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()
        if refused is not None:
            raise refused
        yield TimelineEnd(windows=count, video_seconds=end, seconds=round(time.perf_counter() - began, 3))

    def _cut(self, asked: TimelineRequest) -> Cut:
        limits, options = self._limits, asked.options
        window = options.window or limits.timeline_window
        spans = _spans(asked.transcript, limits) if options.window is None and options.hop is None else []
        return Cut(
            video=asked.video,
            spans=spans,
            window=window,
            hop=options.hop or window,
            look=self._answers.look,
            speakers=options.speakers,
            speaker_count=options.speaker_count,
            bounds=Bounds(
                limits.streams, limits.pixels, limits.timeline_seconds, round(limits.timeline_seconds * MOST_FPS)
            ),
        )

    async def _window(self, piece: Piece, data: bytes, utterance: Utterance) -> TimelineAnswer:
        assert piece.clip is not None
        answer = dict(await self._answers.answer_memory(utterance, piece.clip, data, piece.start))
        if piece.heard is not None:
            answer["heard"] = self._answers.listening.described(piece.heard)
        start, end = round(piece.start, 3), round(piece.end, 3)
        voices = self._answers.listening.voices if piece.heard is not None and piece.heard.speaker else None
        return TimelineAnswer(
            start=start, end=end, text=utterance.text, speaker=utterance.speaker, voices=voices, **answer
        )


def _utterance(piece: Piece, growing: GrowingTranscript, transcript: Transcript) -> Utterance:
    """What is known of a window: as it was heard, which joins what was heard before, or as the transcript says."""
    heard, start, end = piece.heard, piece.start, piece.end
    if heard is None:
        return transcript.during(start, end) if transcript.lines else Utterance()
    growing.add(HeardLine(start, end, tuple(heard.words), heard.reason, heard.speaker))
    return growing.during(start, end)


async def answer_lines(timelines: Timelines, asked: TimelineRequest) -> Lines:
    """The answers as lines of JSON."""
    async with aclosing(timelines.answer(asked)) as answers:
        async for answer in answers:
            yield answer.model_dump_json().encode() + b"\n"


async def streamed(first: bytes, lines: Lines, stack: AsyncExitStack) -> Lines:
    """The lines; what goes wrong after the first is the last one. At the end the stack is closed."""
    async with stack, aclosing(lines):
        yield first
        try:
            async for line in lines:
                yield line
        except RefusedError as error:
            yield Problem(error=str(error)).model_dump_json().encode() + b"\n"
