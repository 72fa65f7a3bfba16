"""Every frame and sample at its time, and of a damaged clip as much as can be used."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from emofuse.core.errors import MediaError
from emofuse.core.params import Params
from emofuse.core.records import Extracted, Utterance
from emofuse.features.audio.extractor import AudioExtractor
from emofuse.features.visual.extractor import VisualExtractor
from emofuse.media.clip import FileClip
from emofuse.media.limits import Bounds, check_clip
from emofuse.media.windows import Look, cut_windows, even_spans
from tests.clips import add_sound, add_video, copied, write_media, write_samples

RATE = 16000
LOOK = Look(5, 160, RATE)
TIMES = np.arange(2 * RATE) / RATE
TONE = 0.5 * np.sin(2 * np.pi * 220 * TIMES)


def film(path: Path, seconds: float = 6.0, **options: object) -> Path:
    return write_media(
        path, partial(add_video, frames=round(24 * seconds)), partial(add_sound, seconds=seconds), **options
    )


def times(clip: Path) -> list[float]:
    return [time for time, _ in FileClip(clip).frames(5, 160)]


def loud(samples: np.ndarray) -> list[bool]:
    """Whether each whole half second is heard."""
    halves = samples[: len(samples) // (RATE // 2) * (RATE // 2)].reshape(-1, RATE // 2)
    return [bool(np.abs(half[1000:-1000]).max() > 0.1) for half in halves]


@pytest.mark.parametrize(("start", "seconds"), [(3.5, 2.5), (1.0, 5.0), (5.2, 0.8)])
def test_frames_that_an_edit_list_hides_are_not_missed(tmp_path: Path, start: float, seconds: float) -> None:
    cut = copied(film(tmp_path / "film.mp4"), tmp_path / "cut.mp4", start=start)
    clip = FileClip(cut)
    assert len(list(clip.frames(5, 160))) == pytest.approx(seconds * 5, abs=1)
    assert len(clip.sound(RATE)) / RATE == pytest.approx(seconds, abs=0.1)
    assert not clip.damage
    check_clip(cut, Bounds(2, 10**6, seconds + 0.3, round(24 * seconds) + 200))


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov"])
@pytest.mark.parametrize("late", [2.0, 0.5])
def test_sound_that_starts_late_is_silence_before(tmp_path: Path, name: str, late: float) -> None:
    clip = FileClip(copied(film(tmp_path / "film.mp4"), tmp_path / name, later={"audio": late}))
    heard = loud(clip.sound(RATE))
    assert heard.index(True) == round(2 * late)
    assert times(clip.path)[0] == 0


@pytest.mark.parametrize("late", [1.3, 3.0])
def test_pictures_that_start_late_share_the_clock_of_the_sound(tmp_path: Path, late: float) -> None:
    clip = copied(film(tmp_path / "film.mp4"), tmp_path / "late.mkv", later={"video": late})
    assert times(clip)[0] == pytest.approx(late, abs=0.01)
    assert all(loud(FileClip(clip).sound(RATE))[:6])


@pytest.mark.parametrize("name", ["gap.mkv", "gap.mp4"])
@pytest.mark.parametrize(("start", "end"), [(1.0, 2.5), (2.0, 3.0)])
def test_a_gap_in_the_sound_is_silence(tmp_path: Path, name: str, start: float, end: float) -> None:
    clip = copied(
        film(tmp_path / "film.mp4"),
        tmp_path / name,
        keep=lambda kind, time: kind == "video" or not start <= time < end,
    )
    samples = FileClip(clip).sound(RATE)
    assert len(samples) / RATE == pytest.approx(6.0, abs=0.1)
    quiet = samples[round((start + 0.15) * RATE) : round((end - 0.15) * RATE)]
    assert np.abs(quiet).max() < 1e-3
    assert all(loud(samples[round((end + 0.1) * RATE) :]))


def test_streams_put_end_to_end_are_heard_and_seen_whole(tmp_path: Path) -> None:
    one = copied(film(tmp_path / "film.mp4", seconds=3.0), tmp_path / "one.ts").read_bytes()
    (tmp_path / "two.ts").write_bytes(one + one)
    assert len(times(tmp_path / "two.ts")) == 2 * len(times(tmp_path / "one.ts"))
    assert len(FileClip(tmp_path / "two.ts").sound(RATE)) / RATE == pytest.approx(6.1, abs=0.2)


def test_windows_and_clips_have_one_clock(tmp_path: Path) -> None:
    """A window of late sound holds the silence before it, and a window before the picture has none."""
    clip = copied(film(tmp_path / "film.mp4"), tmp_path / "late.mkv", later={"audio": 2.0})
    windows = list(cut_windows(clip, even_spans(1, 1), LOOK, 60))
    assert [any(loud(window.clip.samples / 2**31)) for window in windows][:4] == [False, False, True, True]
    assert [len(window.clip.shots) for window in windows] == [5, 5, 5, 5, 5, 5, 0, 0]


@pytest.mark.parametrize(
    "channels",
    [
        np.stack([TONE, -TONE]),
        np.stack([TONE, -0.9 * TONE]),
        np.stack([TONE, -TONE, 0 * TONE, 0 * TONE, 0 * TONE, 0 * TONE]),
        np.stack([np.where(TIMES < 1, 0, TONE), np.where(TIMES < 1, 0, -TONE)]),
    ],
)
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le"])
def test_channels_in_opposite_phase_are_heard(tmp_path: Path, channels: np.ndarray, codec: str) -> None:
    samples = FileClip(write_samples(tmp_path / "a.mkv", channels, codec)).sound(RATE)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.02)
    assert len(samples) == pytest.approx(2 * RATE, abs=10)


@pytest.mark.parametrize("other", [TONE, 0 * TONE, -0.4 * TONE, 0.5 * np.sin(2 * np.pi * 331 * TIMES)])
def test_channels_that_do_not_cancel_out_are_mixed_as_ever(tmp_path: Path, other: np.ndarray) -> None:
    samples = FileClip(write_samples(tmp_path / "a.wav", np.stack([TONE, other]))).sound(RATE)
    np.testing.assert_allclose(samples, (TONE + other) / 2, atol=1e-4)


@pytest.mark.parametrize("count", [9, 24, 32, 33, 64, 128])
def test_any_number_of_channels_is_mixed(tmp_path: Path, count: int) -> None:
    data = np.repeat(np.round(TONE * 2**15).astype("<i2")[:, None], count, axis=1).tobytes()
    form = struct.pack("<HHIIHH", 1, count, RATE, RATE * count * 2, count * 2, 16)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data))
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data)
    samples = FileClip(path).sound(RATE)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(samples, TONE, atol=1e-3)


HISS = np.random.default_rng(13).integers(-16, 17, 2 * RATE) / 2**15


@pytest.mark.parametrize(
    "samples",
    [
        np.full(2 * RATE, np.nan),
        np.full(2 * RATE, np.inf),
        np.full(2 * RATE, 0.3),
        np.full(2 * RATE, -0.9),
        HISS,
        0.5 + HISS,
        np.random.default_rng(13).integers(-1, 2, 2 * RATE) / 128,
    ],
    ids=["nan", "infinite", "constant", "low constant", "hiss", "constant and hiss", "hiss of 8 bits"],
)
@pytest.mark.parametrize("rate", [16000, 44100])
def test_sound_that_holds_nothing_is_absent(params: Params, tmp_path: Path, samples: np.ndarray, rate: int) -> None:
    clip = write_samples(tmp_path / "a.wav", samples[None], rate=rate)
    (row,) = AudioExtractor(params.audio).extract([Utterance(clip=clip)])
    assert (row.values, row.reason) == (None, "silent sound track")


@pytest.mark.parametrize(
    "samples",
    [
        0.008 * TONE * (np.sin(2 * np.pi * 2 * TIMES) > 0),
        0.3 + TONE / 8,
        np.where(TIMES < 1, np.nan, TONE),
        np.where((TIMES > 1.5) & (TIMES < 1.6), TONE, 0),
        0.1 * np.random.default_rng(13).normal(size=len(TIMES)),
    ],
    ids=["faint", "with a constant", "half no numbers", "one short word", "a loud rush"],
)
def test_sound_that_holds_something_is_present(params: Params, tmp_path: Path, samples: np.ndarray) -> None:
    clip = write_samples(tmp_path / "a.wav", samples[None])
    (row,) = AudioExtractor(params.audio).extract([Utterance(clip=clip)])
    assert row.values is not None and row.reason == ""
    assert np.isfinite(row.values[:8]).all()


def face_film(corpus: Path) -> bytes:
    """A clip of the corpus with a face and a voice, its index in front."""
    largest = max((corpus / "train_splits").glob("*.mp4"), key=lambda path: path.stat().st_size)
    return largest.read_bytes()


def zeroed(share: float, size: int) -> Callable[[bytes], bytes]:
    def harm(data: bytes) -> bytes:
        start = round(len(data) * share)
        return data[:start] + bytes(size) + data[start + size :]

    return harm


@pytest.mark.parametrize("harm", [zeroed(0.5, 4000), zeroed(0.4, 1500), zeroed(0.6, 9000)])
def test_of_a_clip_with_a_damaged_place_both_tracks_are_used_up_to_it(
    corpus: Path, params: Params, tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "damaged.mp4"
    path.write_bytes(harm(face_film(corpus)))
    for extractor in (AudioExtractor(params.audio), VisualExtractor(params.visual)):
        (row,) = extractor.extract([Utterance(clip=path)])
        assert row.values is not None
        assert row.reason.startswith("damaged after ")


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3"])
def test_a_damaged_sound_leaves_the_picture_alone(tmp_path: Path, codec: str) -> None:
    path = write_media(
        tmp_path / "a.mkv", partial(add_video, frames=96), partial(add_sound, codec=codec, seconds=4.0, rate=32000)
    )
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(container.streams.audio[0]) if packet.size][-16]
    data = bytearray(path.read_bytes())
    data[place + 12 : place + 60] = b"\xff" * 48
    path.write_bytes(data)
    clip = FileClip(path)
    assert len(list(clip.frames(5, 160))) == 20
    assert 3 < len(clip.sound(RATE)) / RATE < 3.8
    assert set(clip.damage) == {"sound"}
    assert float(clip.damage["sound"].detail) == pytest.approx(len(clip.sound(RATE)) / RATE, abs=0.15)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mp4"])
def test_a_file_that_broke_off_is_used_as_far_as_it_goes_and_says_so(tmp_path: Path, name: str, share: float) -> None:
    options = {"options": {"movflags": "faststart"}} if name == "a.mp4" else {}
    whole = film(tmp_path / name, **options).read_bytes()
    (tmp_path / name).write_bytes(whole[: round(len(whole) * share)])
    clip = FileClip(tmp_path / name)
    last = [time for time, _ in clip.frames(5, 160)][-1]
    seconds = len(clip.sound(RATE)) / RATE
    assert 0.5 < last < 5.5 and 0.5 < seconds < 5.5
    assert float(clip.damage["picture"].detail) == pytest.approx(last, abs=0.3)
    if name != "a.avi":  # whose sound is timed by the bytes that there are
        assert float(clip.damage["sound"].detail) == pytest.approx(seconds, abs=0.3)


def wav(path: Path, codec: str) -> bytes:
    return write_media(path, partial(add_sound, codec=codec, seconds=4.0)).read_bytes()


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "pcm_f32le", "adpcm_ms"])
def test_a_wav_that_broke_off_is_used_as_far_as_it_goes_and_says_so(tmp_path: Path, codec: str) -> None:
    whole = wav(tmp_path / "a.wav", codec)
    (tmp_path / "a.wav").write_bytes(whole[: len(whole) * 6 // 10])
    clip = FileClip(tmp_path / "a.wav")
    assert len(clip.sound(RATE)) / RATE == pytest.approx(2.4, abs=0.1)
    assert float(clip.damage["sound"].detail) == pytest.approx(2.4, abs=0.2)


@pytest.mark.parametrize("size", [0, 0x7FFFF024, 0x7FFFFFFF, 0xFFFFFFFF, None])
def test_a_whole_wav_is_not_damaged_whatever_its_writer_put_for_a_size(tmp_path: Path, size: int | None) -> None:
    whole = wav(tmp_path / "a.wav", "pcm_s16le")
    if size is not None:  # as what writes to a pipe puts there
        data = whole.index(b"data") + 4
        word = size.to_bytes(4, "little")
        (tmp_path / "a.wav").write_bytes(whole[:4] + word + whole[8:data] + word + whole[data + 4 :])
    clip = FileClip(tmp_path / "a.wav")
    assert len(clip.sound(RATE)) / RATE == pytest.approx(4.0, abs=0.01)
    assert not clip.damage


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.mp4", "a.mov", "a.ts", "a.webm"])
def test_whole_clips_are_not_damaged(tmp_path: Path, name: str) -> None:
    codecs = {"codec": "libvpx"} if name == "a.webm" else {}
    sound = {"codec": "libopus", "rate": 48000} if name == "a.webm" else {}
    clip = FileClip(
        write_media(tmp_path / name, partial(add_video, frames=72, **codecs), partial(add_sound, seconds=2.0, **sound))
    )
    assert len(list(clip.frames(5, 160))) == 15
    assert len(clip.sound(RATE)) / RATE == pytest.approx(2.0, abs=0.2)
    assert not clip.damage


def test_a_note_on_a_present_row_stays_in_its_table(corpus: Path, params: Params, tmp_path: Path) -> None:
    from emofuse.core.records import FeatureTable

    path = tmp_path / "damaged.mp4"
    path.write_bytes(zeroed(0.5, 4000)(face_film(corpus)))
    extractor = AudioExtractor(params.audio)
    rows: list[Extracted] = list(extractor.extract([Utterance(clip=path)]))
    table = FeatureTable.stack(extractor.names, rows)
    assert table.present.tolist() == [True]
    assert table.reasons[0].startswith("damaged after ")


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_a_film_that_breaks_off_gives_its_windows_and_then_says_so(tmp_path: Path, share: float) -> None:
    whole = film(tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(whole[: round(len(whole) * share)])
    windows = []
    with pytest.raises(MediaError, match=r"damaged after \d\.\d s"):
        for window in cut_windows(tmp_path / "a.mkv", even_spans(0.5, 0.5), LOOK, 600):
            windows.append(window)
    assert len(windows) == pytest.approx(12 * share, abs=2)


@pytest.mark.parametrize("most", [2.0, 4.5])
def test_a_film_that_is_too_long_gives_its_windows_and_then_says_so(tmp_path: Path, most: float) -> None:
    windows = []
    with pytest.raises(MediaError, match="longer than"):
        for window in cut_windows(film(tmp_path / "a.mp4"), even_spans(1, 1), LOOK, most):
            windows.append(window)
    assert len(windows) >= int(most)


@pytest.mark.parametrize("track", [partial(add_video, frames=72), partial(add_sound, seconds=3.0)])
def test_a_film_of_one_track_ends_well(tmp_path: Path, track: Callable[..., Callable[[], None]]) -> None:
    assert len(list(cut_windows(write_media(tmp_path / "a.mkv", track), even_spans(1, 1), LOOK, 600))) == 3
