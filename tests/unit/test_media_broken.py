"""Files as users have them: each gives a reason or right features, never a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from emofuse.core.errors import MediaError
from emofuse.core.params import Params
from emofuse.core.records import Extracted, Utterance
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.media.clip import FileClip
from emofuse.media.decode import probe_streams, sound_frames, timed_frames
from tests.clips import add_sound, add_video, with_cover, write_media

SOUND = partial(add_sound)
VIDEO = partial(add_video)


def heard(clip: Path) -> float:
    """The loudest frequency in Hz of a clip of about a second."""
    samples = FileClip(clip).sound(16000)
    assert len(samples) == pytest.approx(16000, rel=0.15)
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * 16000 / len(samples))


def seen(clip: Path, width: int = 480) -> list[np.ndarray]:
    return [frame for _, frame in FileClip(clip).frames(5, width)]


def bright_corner(frame: np.ndarray) -> tuple[bool, bool]:
    """Whether the brightest quarter is at the top, and whether it is at the left."""
    rows, columns = frame.mean(axis=1), frame.mean(axis=0)
    return bool(rows[: len(rows) // 2].mean() > rows.mean()), bool(columns[: len(columns) // 2].mean() > columns.mean())


def test_a_wav_named_mp4_is_heard(tmp_path: Path) -> None:
    wav = write_media(tmp_path / "a.wav", partial(add_sound, codec="pcm_s16le"))
    assert heard(wav.rename(tmp_path / "a.mp4")) == pytest.approx(220, abs=3)
    with pytest.raises(MediaError, match="no video track"):
        seen(tmp_path / "a.mp4")


@pytest.mark.parametrize("name,codec", [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "mp3"), ("a.m4a", "aac")])
def test_files_of_sound_alone_are_heard(tmp_path: Path, name: str, codec: str) -> None:
    clip = write_media(tmp_path / name, partial(add_sound, codec={"mp3": "libmp3lame"}.get(codec, codec)))
    probe_streams(clip)
    assert heard(clip) == pytest.approx(220, abs=3)


def cut(path: Path, share: float, **options: object) -> Path:
    whole = write_media(path, partial(add_video, frames=96), SOUND, **options).read_bytes()
    path.write_bytes(whole[: round(len(whole) * share)])
    return path


def test_a_clip_cut_before_its_index_gives_a_reason(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="can't be decoded"):
        seen(cut(tmp_path / "a.mp4", 0.5))


def test_a_playlist_named_mp4_opens_no_other_file(tmp_path: Path) -> None:
    other = write_media(tmp_path / "other.mp4", SOUND)
    playlist = tmp_path / "list.mp4"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{other}\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError, match="can't be decoded"):
        FileClip(playlist).sound(16000)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_video_track_without_frames_gives_a_reason(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError, match=r"video track without frames|can't be decoded|no video track"):
        seen(write_media(tmp_path / name, partial(add_video, frames=0), SOUND))


@pytest.mark.parametrize("name,codec", [("a.wav", "pcm_s16le"), ("a.m4a", "aac"), ("a.mkv", "pcm_s16le")])
def test_a_sound_track_without_samples_gives_a_reason(tmp_path: Path, name: str, codec: str) -> None:
    clip = write_media(tmp_path / name, partial(add_sound, codec=codec, seconds=0))
    with pytest.raises(MediaError, match=r"sound track without samples|can't be decoded|no sound track"):
        FileClip(clip).sound(16000)


def test_one_frame_and_few_samples_have_features(tmp_path: Path, params: Params) -> None:
    clip = write_media(tmp_path / "a.mkv", partial(add_video, frames=1), partial(add_sound, seconds=0.04))
    assert len(seen(clip)) == 1
    row = next(AudioExtractor(params.audio).extract([Utterance(clip=clip)]))
    assert row.values is not None and np.isfinite(row.values[:8]).all()


def test_frames_of_a_variable_rate_are_sampled_by_their_time(tmp_path: Path) -> None:
    def at(number: int) -> int:  # half a second at 40 frames a second, then one frame every half second
        return number * 25 if number < 20 else 500 + (number - 20) * 500

    clip = write_media(tmp_path / "a.mkv", partial(add_video, frames=24, times=at))
    assert len(seen(clip)) == 3 + 3


@pytest.mark.parametrize(
    "turned,corner", [(0, (True, True)), (90, (False, True)), (180, (False, False)), (-90, (True, False))]
)
def test_a_rotated_clip_is_turned_upright(tmp_path: Path, turned: int, corner: tuple[bool, bool]) -> None:
    frame = seen(write_media(tmp_path / "a.mp4", partial(add_video, rotation=turned)), width=80)[0]
    assert frame.shape == ((45, 80) if turned in (0, 180) else (142, 80))
    assert bright_corner(frame) == corner
    assert frame.flags.c_contiguous


@pytest.mark.parametrize(
    "pixels,size",
    [("yuv444p", (321, 181)), ("yuv420p10le", (160, 90)), ("gray", (160, 90)), ("yuv422p", (162, 91))],
)
def test_odd_sizes_and_pixel_formats_are_seen(tmp_path: Path, pixels: str, size: tuple[int, int]) -> None:
    clip = write_media(tmp_path / "a.mkv", partial(add_video, size=size, pixels=pixels, codec="ffv1"))
    frames = seen(clip)
    assert len(frames) == 5
    assert frames[0].shape == (size[1], size[0])
    assert bright_corner(frames[0]) == (True, True)
    assert frames[0].min() < 5 and frames[0].max() > 250


@pytest.mark.parametrize("layout", ["stereo", "5.1"])
def test_channels_are_mixed_within_the_range(tmp_path: Path, layout: str) -> None:
    clip = write_media(tmp_path / "a.mkv", partial(add_sound, codec="pcm_s16le", layout=layout))
    assert heard(clip) == pytest.approx(220, abs=3)
    assert 0.4 < np.abs(FileClip(clip).sound(16000)).max() <= 0.51


def test_sound_of_8_khz_is_heard(tmp_path: Path) -> None:
    clip = write_media(tmp_path / "a.wav", partial(add_sound, codec="pcm_s16le", rate=8000))
    assert heard(clip) == pytest.approx(220, abs=3)


def test_of_several_tracks_the_default_one_is_taken(tmp_path: Path) -> None:
    clip = write_media(
        tmp_path / "a.mkv",
        partial(add_video, size=(64, 64), default=False),
        partial(add_video, size=(160, 90), default=True),
        partial(add_sound, tone=220, default=False),
        partial(add_sound, tone=880, default=True),
    )
    assert seen(clip)[0].shape == (90, 160)
    assert heard(clip) == pytest.approx(880, abs=3)


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a"])
def test_a_cover_picture_is_no_video(tmp_path: Path, name: str) -> None:
    clip = with_cover(tmp_path / name)
    assert heard(clip) == pytest.approx(220, abs=3)
    with pytest.raises(MediaError, match="no video track"):
        seen(clip)


@pytest.mark.parametrize("look", [partial(timed_frames, fps=5, width=90), sound_frames])
def test_what_is_too_long_for_an_utterance_gives_a_reason(
    tmp_path: Path, look: Callable[..., Iterable[object]]
) -> None:
    with pytest.raises(MediaError, match=r"longer than 0\.5 s; cut it into utterances"):
        list(look(write_media(tmp_path / "a.mp4", VIDEO, SOUND), most_seconds=0.5))


def test_extractors_turn_every_reason_to_an_absent_row(tmp_path: Path, params: Params) -> None:
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a clip\n" * 100)
    names = ("none.mp4", "zero.mp4", "text.mp4", cut(tmp_path / "cut.mp4", 0.5).name)
    utterances = [Utterance(clip=tmp_path / name) for name in names]
    for extractor in (AudioExtractor(params.audio), VisualExtractor(params.visual)):
        rows: list[Extracted] = list(extractor.extract(utterances))
        assert all(row.values is None for row in rows)
        assert [row.reason.split(":")[0] for row in rows[:3]] == ["file not found", "file is empty", "can't be decoded"]
