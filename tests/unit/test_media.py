from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emofuse.core.errors import MediaError
from emofuse.media.clip import FileClip
from emofuse.media.decode import probe_streams
from tests.conftest import write_clip


def test_frames_come_at_the_wanted_rate_and_width(tmp_path: Path) -> None:
    frames = [frame for _, frame in FileClip(write_clip(tmp_path / "a.mp4", seconds=2)).frames(5, 80)]
    assert len(frames) == 10
    assert all(frame.shape == (45, 80) and frame.dtype == np.uint8 for frame in frames)


def test_frames_are_in_the_order_of_time(tmp_path: Path) -> None:
    shades = [frame.mean() for _, frame in FileClip(write_clip(tmp_path / "a.mp4")).frames(8, 160)]
    assert shades == sorted(shades)
    assert shades[-1] - shades[0] > 100


def test_small_frames_are_not_enlarged(tmp_path: Path) -> None:
    _, frame = next(FileClip(write_clip(tmp_path / "a.mp4")).frames(1, 640))
    assert frame.shape == (90, 160)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_sound_is_resampled_to_mono_at_the_wanted_rate(tmp_path: Path, rate: int) -> None:
    samples = FileClip(write_clip(tmp_path / "a.mp4", seconds=1, tone=220)).sound(rate)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(rate, rel=0.1)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(220, abs=3)


def test_length_is_in_seconds(tmp_path: Path) -> None:
    assert FileClip(write_clip(tmp_path / "a.mp4", seconds=1.5)).seconds() == pytest.approx(1.5, abs=0.1)


def test_missing_empty_and_foreign_files_each_give_a_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a clip")
    for name, reason in (("none", "file not found"), ("empty", "file is empty"), ("text", "can't be decoded")):
        with pytest.raises(MediaError, match=reason):
            probe_streams(tmp_path / f"{name}.mp4")


def test_a_clip_without_a_track_says_so(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no sound track"):
        FileClip(write_clip(tmp_path / "mute.mp4", tone=None)).sound(16000)
    with pytest.raises(MediaError, match="no video track"):
        next(FileClip(write_clip(tmp_path / "voice.m4a", video=False)).frames(5, 320))


def test_a_truncated_clip_gives_a_reason(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="can't be decoded"):
        FileClip(cut).sound(16000)
