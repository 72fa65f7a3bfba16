from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from emofuse.core.hashes import FileHashes
from emofuse.datasets import clips
from emofuse.datasets.clips import ClipFolder, content_hashes


def folder(root: Path, *names: str) -> ClipFolder:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return ClipFolder(root)


FITS = [
    ("a/Zo\u00eb.wav ", "a/Zo\u00eb.wav"),
    (" a/x.wav", "a/x.wav"),
    ("a/x.wav\u00a0", "a/x.wav"),
    ("a\\x.wav", "a/x.wav"),
    (".\\a\\x.wav", "a/x.wav"),
    ("a/Zoe\u0308.wav", "a/Zo\u00eb.wav"),
    ("A/X.WAV", "a/x.wav"),
    ("a/\u200bx.wav", "a/x.wav"),
    ("b/nai\u0308ve.mp4", "b/na\u00efve.mp4"),
    ("b/nai\u0308ve.mp4", "b/nai\u0308ve.mp4"),
    ("b/na\u00efve.mp4", "b/nai\u0308ve.mp4"),
    ("caf\u00e9/1.wav", "cafe\u0301/1.wav"),
]


@pytest.mark.parametrize(("path", "file"), FITS)
def test_a_path_that_nearly_fits_one_file_is_that_file_and_told(tmp_path: Path, path: str, file: str) -> None:
    located, issues = folder(tmp_path, file, "a/other.wav", "other.wav").locate(path)
    assert located == file
    assert issues == ([] if path == file else [f"no clip {path!a}; took {file!r}, the only one that fits"])


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("a/X.wav", ("a/x.wav", "a/x.WAV")),
        ("nai\u0308ve.WAV", ("na\u00efve.wav", "NAI\u0308VE.wav")),
        ("A/1.wav", ("a/1.wav", "a /1.wav")),
    ],
)
def test_a_path_that_nearly_fits_several_files_is_none_of_them(
    tmp_path: Path, path: str, files: tuple[str, ...]
) -> None:
    located, (issue,) = folder(tmp_path, *files).locate(path)
    assert located is None
    assert issue.startswith(f"clip not found: {path}; 2 files nearly fit it: ")


@pytest.mark.parametrize(
    ("path", "file"), [("x.wav ", "x.wav"), ("x.wav", "x.wav"), ("X.wav", "X.wav"), ("a\\b.wav", "a\\b.wav")]
)
def test_the_file_that_is_meant_goes_before_others_that_fit(tmp_path: Path, path: str, file: str) -> None:
    assert folder(tmp_path, "x.wav", "X.wav", "a/b.wav", "a\\b.wav").locate(path)[0] == file


@pytest.mark.parametrize(
    "path", ["..\\secret.wav", "a\\..\\..\\secret.wav", "\\secret.wav", " /etc/hostname", "D:\\x.wav"]
)
def test_no_spelling_of_a_path_leaves_the_root(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    located, (issue,) = folder(tmp_path / "root", "a/x.wav").locate(path)
    assert located is None
    assert issue == f"clip path leaves the data root: {path}"


def test_a_link_out_of_the_root_is_no_file_that_fits(tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"secret")
    clips = folder(tmp_path / "root", "x.wav")
    (tmp_path / "root" / "link.wav").symlink_to(tmp_path / "secret.wav")
    assert clips.locate("Link.wav ") == (None, ["clip path leaves the data root by a link: Link.wav "])


def test_equal_contents_have_equal_hashes(tmp_path: Path) -> None:
    folder(tmp_path, "a.wav", "b.wav")
    (tmp_path / "b.wav").write_bytes(b"a.wav")
    first, second, none, gone = content_hashes(tmp_path, ["a.wav", "b.wav", None, "gone.wav"])
    assert first == second is not None
    assert none is gone is None


def test_who_is_interrupted_waits_for_no_clip_that_nobody_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Path] = []

    def slow(_: FileHashes, path: Path) -> str:
        begun.append(path)
        time.sleep(0.02)
        return "hash"

    def interrupted(digests: Iterable[str], *_: object) -> Iterator[str]:
        yield next(iter(digests))
        raise KeyboardInterrupt

    monkeypatch.setattr(FileHashes, "sha256", slow)
    monkeypatch.setattr(clips, "progress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        content_hashes(Path(), [f"{number}.wav" for number in range(300)])
    assert len(begun) < 100
