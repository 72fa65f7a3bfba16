"""Archives from elsewhere, unpacked so that they can do no harm: whole or not at all, inside their folder, bounded."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from emofuse.core.errors import DataError
from emofuse.fetch.download import chunks, full
from emofuse.fetch.sources import ARCHIVES

MOST_FILES = 200_000
RATIO = 100  # unpacked over packed; sound and video pack to a third at best, tables to a tenth
FREE_BYTES = 64 << 20  # that anything may unpack to
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)
DEPTH = 1  # archives in the archive, as MELD's


class EvilArchiveError(Exception):
    """An archive that holds what no corpus holds."""


@dataclass(frozen=True)
class ArchivedFile:
    """A file in an archive."""

    name: str
    open: Callable[[], IO[bytes]]


class _Budget:
    """What an archive may unpack to, all in all."""

    def __init__(self, packed: int) -> None:
        self.files, self.bytes, self._most = 0, 0, max(packed * RATIO, FREE_BYTES)

    def add(self, files: int, size: int) -> None:
        """Count files, and bytes that they unpack to.

        Raises:
            EvilArchiveError: there are more by now than a corpus has.
        """
        self.files += files
        self.bytes += size
        if self.files > MOST_FILES:
            raise EvilArchiveError(f"holds more than {MOST_FILES} files")
        if self.bytes > self._most:
            raise EvilArchiveError(f"unpacks to more than {self._most / 1e6:.0f} MB, {RATIO} times its size")


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip or tar archive, and archives in it, to a folder; what is there of an earlier call is removed.

    Raises:
        DataError: it is broken, or holds what no corpus holds: a path that leaves the folder, a link, a device, a name
            that stands twice, or more than its size can be; then it is removed. Or there is no room; then it stays.
            Nothing of what was unpacked does.
    """
    shutil.rmtree(target, ignore_errors=True)
    try:
        _unpack(archive, target, _Budget(archive.stat().st_size), DEPTH)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, (EvilArchiveError, *BROKEN)):
            archive.unlink()
            remedy = "tell whoever publishes it" if isinstance(error, EvilArchiveError) else "fetch it again"
            raise DataError(f"{archive.name}: {error}; it was removed and nothing of it was kept: {remedy}") from None
        if isinstance(error, OSError):
            raise full(target.parent, error) from None
        raise


def _unpack(archive: Path, folder: Path, budget: _Budget, depth: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    inner = []
    with _members(archive) as members:
        for member in members:
            path = folder / _inside(member.name)
            _write(path, member, budget)
            if depth and path.name.endswith(ARCHIVES):
                inner.append(path)
    for path in inner:
        _unpack(path, path.parent, budget, depth - 1)
        path.unlink()


def _write(path: Path, member: ArchivedFile, budget: _Budget) -> None:
    budget.add(1, 0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file, member.open() as source:
            for chunk in chunks(source):
                budget.add(0, len(chunk))
                file.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise EvilArchiveError(f"holds {member.name!r} twice") from None


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    bad = "\\" in name or "\0" in name or PureWindowsPath(name).drive
    if bad or path.is_absolute() or ".." in path.parts or not path.parts:
        raise EvilArchiveError(f"holds {name[:200]!r}, a path that leaves its folder")
    return path


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[ArchivedFile]]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            yield _of_zip(file)
    else:
        with tarfile.open(archive, "r|*") as tar:
            yield _of_tar(tar)


def _of_zip(file: zipfile.ZipFile) -> Iterator[ArchivedFile]:
    for entry in file.infolist():
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise EvilArchiveError(f"holds {entry.filename!r}, a link or a device")
        if entry.is_dir():
            _inside(entry.filename)
        else:
            yield ArchivedFile(entry.filename, lambda entry=entry: file.open(entry))  # type: ignore[misc]


def _of_tar(tar: tarfile.TarFile) -> Iterator[ArchivedFile]:
    for entry in tar:
        if entry.isdir():
            if entry.name.strip("./"):
                _inside(entry.name)
        elif entry.isfile() and (source := tar.extractfile(entry)) is not None:
            yield ArchivedFile(entry.name, lambda source=source: source)  # type: ignore[misc]
        else:
            raise EvilArchiveError(f"holds {entry.name!r}, a link or a device")
