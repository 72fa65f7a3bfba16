"""Hears the lines of a film without a server, ahead of their answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emofuse.core.device import pick_device
from emofuse.transcription.film import film_sound, heard_lines
from emofuse.transcription.recogniser import load_recogniser
from emofuse.transcription.words import HeardLine

AHEAD = 32  # lines that are heard before they are answered


def listen(video: Path, named: tuple[str, str | None], most_seconds: float) -> Iterator[HeardLine]:
    """Hear a video's lines, as they come; the recogniser is loaded at once.

    Args:
        video: any file that FFmpeg reads.
        named: the recogniser, and the language.
        most_seconds: how long the video may be.

    Raises:
        EncoderError: the recogniser can't be loaded.
        MediaError: the video can't be decoded, has no sound or is too long, after the lines before that shows.
    """
    recogniser = load_recogniser(*named, pick_device())
    return _ahead(heard_lines(film_sound(video, most_seconds), recogniser))


def _ahead(lines: Iterable[HeardLine]) -> Iterator[HeardLine]:
    """The lines, heard in a thread of their own while those before are answered."""
    rest = iter(lines)
    with ThreadPoolExecutor(1, "listening") as thread:
        coming = deque(thread.submit(next, rest, None) for _ in range(AHEAD))
        while (line := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, rest, None))
            yield line
