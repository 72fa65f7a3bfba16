"""The built corpus as it lies on disk: layout, tables, clips, flaws, repeatability."""

from __future__ import annotations

import csv
import hashlib
from itertools import pairwise
from pathlib import Path

import av
import pytest

from demo_corpus import build
from demo_corpus.build import COLUMNS, FOLDERS, build_corpus, clip_path
from demo_corpus.plan import Line, plan_corpus
from emofuse.core.errors import DataError

SIZE, SEED = (5, 20), 5
PLAN = plan_corpus(*SIZE, SEED)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus") / "made"
    build_corpus(root, *SIZE, SEED, workers=1)
    return root


def table(root: Path, split: str) -> list[dict[str, str]]:
    with (root / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def whole_clips(root: Path) -> list[Path]:
    return [clip_path(root, line) for line in PLAN if line.flaw not in ("missing", "truncated")]


def flawed(flaw: str) -> list[Line]:
    return [line for line in PLAN if line.flaw == flaw]


def milliseconds(clock: str) -> int:
    hours, minutes, rest = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + int(rest.replace(",", ""))


def contents(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("split", FOLDERS)
def test_tables_have_melds_columns(corpus: Path, split: str) -> None:
    rows = table(corpus, split)
    assert tuple(rows[0]) == COLUMNS
    assert [(row["Dialogue_ID"], row["Utterance_ID"]) for row in rows] == [
        (str(line.dialogue), str(line.utterance)) for line in PLAN if line.split == split
    ]


def test_times_are_the_lengths_of_the_clips(corpus: Path) -> None:
    for split, folder in FOLDERS.items():
        for row in table(corpus, split):
            path = corpus / folder / f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.mp4"
            if path in whole_clips(corpus):
                with av.open(str(path)) as clip:
                    length = clip.duration
                assert round((length or 0) / 1000) == milliseconds(row["EndTime"]) - milliseconds(row["StartTime"])


def test_lines_of_a_dialogue_follow_each_other(corpus: Path) -> None:
    rows = table(corpus, "train")
    for before, after in pairwise(rows):
        if before["Dialogue_ID"] == after["Dialogue_ID"]:
            assert milliseconds(after["StartTime"]) > milliseconds(before["EndTime"])


def test_clips_are_h264_of_the_stated_size(corpus: Path) -> None:
    for path in whole_clips(corpus):
        with av.open(str(path)) as clip:
            video = clip.streams.video[0]
            found = (video.codec_context.name, video.width, video.height, float(video.average_rate or 0))
        assert found == ("h264", 640, 360, 24.0)


def test_clips_have_aac_sound_unless_planned_otherwise(corpus: Path) -> None:
    silent = {clip_path(corpus, line) for line in flawed("no_sound")}
    assert silent
    for path in whole_clips(corpus):
        with av.open(str(path)) as clip:
            codecs = [stream.codec_context.name for stream in clip.streams.audio]
        assert codecs == ([] if path in silent else ["aac"])


def test_missing_clips_are_missing(corpus: Path) -> None:
    missing = [line for line in PLAN if not clip_path(corpus, line).exists()]
    assert missing == flawed("missing") != []


def test_truncated_clips_cannot_be_opened(corpus: Path) -> None:
    for line in flawed("truncated"):
        with pytest.raises(av.error.InvalidDataError):
            av.open(str(clip_path(corpus, line)))
    assert flawed("truncated")


def test_two_workers_make_the_same_bytes_as_one(corpus: Path, tmp_path: Path) -> None:
    build_corpus(tmp_path / "again", *SIZE, SEED, workers=2)
    assert contents(tmp_path / "again") == contents(corpus)


def test_a_clip_is_the_same_without_the_clips_before_it(corpus: Path, tmp_path: Path) -> None:
    line = next(line for line in reversed(PLAN) if line.flaw is None)
    clip_path(tmp_path, line).parent.mkdir()
    build.make_clip(tmp_path, line, SEED)
    assert clip_path(tmp_path, line).read_bytes() == clip_path(corpus, line).read_bytes()


def test_nothing_is_left_when_building_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[int]:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "_make_clips", fail)
    with pytest.raises(KeyboardInterrupt):
        build_corpus(tmp_path / "corpus", *SIZE, SEED)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="remove it first"):
        build_corpus(tmp_path, *SIZE, SEED)
    assert (tmp_path / "mine.txt").read_text() == "mine"
