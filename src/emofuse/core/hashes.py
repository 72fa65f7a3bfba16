"""The sha256 of files, kept as long as size and times say that a file is the same."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

FILE = "hashes.sqlite"
SETTLED = 1.0  # seconds since a file was touched: what is younger may change again at the same time by its clock
SETUP = "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL)"


class FileHashes:
    """Hashes that are taken once, by any thread or run; where they can't be kept, they are taken anew.

    Args:
        folder: where they are kept, made where it is missing; None for nowhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lock = threading.Lock()
        self._kept: sqlite3.Connection | None = None
        with suppress(OSError, sqlite3.Error):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                self._kept = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False)
                self._kept.execute(SETUP)

    def sha256(self, path: Path) -> str:
        """The hash of a file's bytes, in hexadecimal.

        Raises:
            OSError: it can't be read.
        """
        name, stamp = str(path.resolve()), _stamp(path)
        rows = self._run("SELECT sha256 FROM files WHERE path = ? AND stamp = ?", name, stamp)
        if rows:
            return rows[0][0]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _stamp(path) == stamp and time.time() - path.stat().st_ctime > SETTLED:
            self._run("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", name, stamp, digest)
        return digest

    def _run(self, query: str, *values: str) -> list[tuple[str]]:
        with self._lock, suppress(sqlite3.Error):
            if self._kept is not None:
                return self._kept.execute(query, values).fetchall()
        return []

    def close(self) -> None:
        """Give the file back."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _stamp(path: Path) -> str:
    """What changes with a file: size, times, and, where another was put in its place, its number."""
    now: os.stat_result = path.stat()
    return f"{now.st_size} {now.st_mtime_ns} {now.st_ctime_ns} {now.st_ino}"
