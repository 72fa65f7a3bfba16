"""Where uploads lie while they are answered."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

PREFIX = "emofuse-serve-"


class Folders:
    """A folder of this process that no other user reads, with one in it for each request that brings files.

    The process holds a lock on it until it ends, however that comes about. One that is killed leaves its folder behind,
    but not the lock, so that the next one to start knows it by that and removes it.
    """

    def __init__(self) -> None:
        remove_leftovers()
        self.root, self._lock = _locked()
        self._numbers = count()

    @contextmanager
    def one(self) -> Iterator[Path]:
        """A path for the files of a request; whoever puts one there makes the folder. At the end it is gone."""
        if not self.root.exists():  # who tidies up temporary folders doesn't know that it is in use
            os.close(self._lock)
            self.root, self._lock = _locked()
        folder = self.root / str(next(self._numbers))
        try:
            yield folder
        finally:
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.root, ignore_errors=True)
        os.close(self._lock)


def remove_leftovers() -> None:
    """Remove the folders of services that are dead: those that nobody holds a lock on."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is locked, another user's, or gone meanwhile
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


def _locked() -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # another service that starts may have found it before it was locked
            return folder, lock
        os.close(lock)
