"""Clips in files and in memory, as extractors see them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emofuse.core.errors import MediaError
from emofuse.core.params import Params
from emofuse.core.records import Utterance
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.metadata import MetadataExtractor
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.media.clip import FileClip, MemoryClip
from tests.conftest import write_clip

RATE = 16000


def in_memory(shots: int = 0, seconds: float = 0.0, fps: float = 5.0) -> MemoryClip:
    """A brightening field and a tone of 220 Hz."""
    pictures = [(number / fps, np.full((90, 160), 20 * number, np.uint8)) for number in range(shots)]
    tone = np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE)) / RATE)
    return MemoryClip(pictures, (tone * 2**30).astype(np.int32), RATE, max(seconds, shots / fps))


def test_the_sound_of_a_file_is_decoded_once_for_all_that_read_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    other = FileClip(path).sound(8000)
    clip = FileClip(path)
    first = clip.sound(RATE)
    path.unlink()
    np.testing.assert_array_equal(clip.sound(RATE), first)
    np.testing.assert_array_equal(clip.sound(8000), other)


def test_one_clip_serves_every_extractor(params: Params, corpus: Path) -> None:
    path = max((corpus / "train_splits").glob("*.mp4"), key=lambda file: file.stat().st_size)
    shared = FileClip(path)
    for extractor in (
        AudioExtractor(params.audio),
        VisualExtractor(params.visual),
        MetadataExtractor(params.metadata),
    ):
        one, other = extractor.extract([Utterance(clip=shared, position=0), Utterance(clip=path, position=0)])
        assert one.values is not None and other.values is not None
        assert one.values.tobytes() == other.values.tobytes()


@pytest.mark.parametrize(("fps", "expected"), [(5, 10), (10, 10), (2.5, 5), (1, 2)])
def test_pictures_in_memory_are_thinned_to_the_wanted_rate(fps: float, expected: int) -> None:
    assert len(list(in_memory(shots=10).frames(fps, 160))) == expected


def test_pictures_that_come_a_little_early_are_kept() -> None:
    times = np.cumsum([0.19, 0.21] * 10)
    clip = MemoryClip([(time, np.zeros((9, 16), np.uint8)) for time in times], np.zeros(0, np.int32), RATE, 4.0)
    assert [time for time, _ in clip.frames(5, 16)] == times.tolist()


def test_pictures_in_memory_are_narrowed_and_never_widened() -> None:
    assert next(in_memory(shots=1).frames(5, 80))[1].shape == (45, 80)
    assert next(in_memory(shots=1).frames(5, 320))[1].shape == (90, 160)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_sound_in_memory_comes_at_the_wanted_rate(rate: int) -> None:
    samples = in_memory(seconds=1).sound(rate)
    assert len(samples) == pytest.approx(rate, abs=2)
    assert np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples) == pytest.approx(220, abs=2)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.01)


def test_what_is_not_in_memory_has_a_reason() -> None:
    with pytest.raises(MediaError, match="no sound track"):
        in_memory(shots=1).sound(RATE)
    with pytest.raises(MediaError, match="no video track"):
        next(in_memory(seconds=1).frames(5, 80))
    assert in_memory(seconds=1.5).seconds() == 1.5
