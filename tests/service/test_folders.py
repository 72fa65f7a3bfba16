"""Folders of uploads, also after a service that was killed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from emofuse.service.folders import Folders, remove_leftovers
from tests.conftest import write_clip

HOLD = "from emofuse.service.folders import Folders; f = Folders(); print(f.root, flush=True); input()"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another service, as far as its folder goes, with an upload in it."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD], text=True, **pipes) as process:
        assert process.stdout
        folder = Path(process.stdout.readline().strip())
        (folder / "0").mkdir()
        (folder / "0" / "video").write_bytes(b"upload")
        yield process, folder
        process.kill()


def test_what_a_killed_service_left_is_removed_at_the_next_start(other: tuple[subprocess.Popen[str], Path]) -> None:
    process, folder = other
    process.kill()
    process.wait()
    assert folder.exists()
    Folders().close()
    assert not folder.exists()


def test_what_a_running_service_or_another_program_holds_stays(
    place: Path, other: tuple[subprocess.Popen[str], Path]
) -> None:
    foreign = place / "emofuse-other"
    foreign.mkdir()
    Folders().close()
    assert (other[1] / "0" / "video").exists()
    assert foreign.exists()


def test_a_folder_is_private_and_gone_after_its_request(place: Path) -> None:
    folders = Folders()
    with pytest.raises(ValueError, match="broken"), folders.one() as folder:
        folder.mkdir()
        (folder / "video").write_bytes(b"upload")
        assert folders.root.stat().st_mode & 0o077 == 0
        raise ValueError("broken")
    assert list(folders.root.iterdir()) == []
    folders.close()
    assert list(place.iterdir()) == []


def test_a_folder_that_was_tidied_away_is_made_again(place: Path) -> None:
    folders = Folders()
    for _ in range(2):
        shutil.rmtree(folders.root)
        with folders.one() as folder:
            folder.mkdir()
            remove_leftovers()  # as another service would that starts now
            assert folder.exists()
    folders.close()
    assert list(place.iterdir()) == []


def within(seconds: float, so: Callable[[], bool]) -> bool:
    ends = time.monotonic() + seconds
    while not so() and time.monotonic() < ends:
        time.sleep(0.005)
    return so()


@pytest.mark.parametrize("path", ["predict", "timeline"])
def test_a_client_that_hangs_up_leaves_nothing(address: str, uploads: Path, tmp_path: Path, path: str) -> None:
    film = write_clip(tmp_path / "a.mp4", seconds=20, size=(640, 360)).read_bytes()
    request = httpx.Request("POST", f"{address}{path}", files={"video": film})
    whole = request.read()
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    for sent in (whole[: len(whole) // 2], whole):  # in the middle of the body, and while it is worked on
        with socket.create_connection((request.url.host, request.url.port or 80)) as client:
            client.sendall(f"POST /{path} HTTP/1.1\r\n{head}\r\n".encode() + sent)
            if sent is whole:
                assert within(10, lambda: any(uploads.glob("*/*/video")))
        assert within(10, lambda: not any(uploads.glob("*/*")))
