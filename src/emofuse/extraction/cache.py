"""Features that were extracted once, in an SQLite file: safe under two runs at once and a kill at any instant.

A cache never stops a run: where it can't be opened or written (a full disk, say), a warning is shown and extraction
goes on without it. An entry whose checksum is wrong counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from emofuse.core.reasons import Cause
from emofuse.core.records import Extracted

FILE = "features.sqlite"
SECONDS_A_DAY = 86400
WAIT = 30.0  # seconds for another run's write
PRESENT, NOTED, ABSENT = b"+", b"!", b"-"
SETUP = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, modality TEXT NOT NULL, value BLOB NOT NULL, checksum BLOB NOT NULL, used INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS names (identity TEXT PRIMARY KEY, names TEXT NOT NULL);
"""


class FeatureCache:
    """Extracted rows by key; a key is a hash of the content and the extractor's identity.

    Args:
        folder: made where it is missing.
        limit: bytes that `prune` leaves.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.path = folder / FILE
        self.limit = limit
        self._today = int(time.time() // SECONDS_A_DAY)
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection | None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return _connect(self.path)
            except sqlite3.OperationalError:  # locked, no room, no right: the file itself may be well
                raise
            except sqlite3.DatabaseError as error:
                print(f"warning: {self.path}: {error}; a new cache is begun", file=sys.stderr)
                for part in self.path.parent.glob(f"{FILE}*"):
                    part.unlink(missing_ok=True)
                return _connect(self.path)
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self._connection = None
        print(
            f"warning: {self.path}: {error}; going on without the cache. "
            "Free some room or set extract.cache in params.yaml to another folder",
            file=sys.stderr,
        )

    def get(self, key: bytes) -> Extracted | None:
        """The row under a key, or None where there is none or it was altered."""
        if self._connection is None:
            return None
        try:
            entry = self._connection.execute(
                "SELECT value, checksum, used FROM entries WHERE key = ?", (key,)
            ).fetchone()
            if entry is None or entry[1] != _checksum(key, entry[0]):
                return None
            if entry[2] < self._today:
                self._connection.execute("UPDATE entries SET used = ? WHERE key = ?", (self._today, key))
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        return _decoded(entry[0])

    def put(self, key: bytes, modality: str, row: Extracted) -> bool:
        """Keep a row; False where it can't be kept."""
        if self._connection is None:
            return False
        value = _encoded(row)
        try:
            self._connection.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)",
                (key, modality, value, _checksum(key, value), self._today),
            )
        except sqlite3.Error as error:
            self._give_up(error)
            return False
        return True

    def names(self, identity: str) -> tuple[str, ...] | None:
        """The feature names of an extractor, where it has run before."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute("SELECT names FROM names WHERE identity = ?", (identity,)).fetchone()
            return tuple(json.loads(row[0])) if row else None
        except (sqlite3.Error, ValueError):
            return None  # the extractor knows them too

    def put_names(self, identity: str, names: Sequence[str]) -> None:
        """Keep the feature names of an extractor."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (identity, json.dumps(names)))

    def counts(self) -> dict[str, tuple[int, int]]:
        """Entries and their bytes, by modality."""
        if self._connection is None:
            return {}
        query = "SELECT modality, count(*), sum(length(value)) FROM entries GROUP BY modality ORDER BY modality"
        return {modality: (count, size) for modality, count, size in self._connection.execute(query)}

    def size(self) -> int:
        """Bytes in use."""
        if self._connection is None:
            return 0
        pages, free, page = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * page)

    def prune(self, limit: int | None = None) -> int:
        """Remove the least recently used entries beyond the limit.

        Returns:
            How many were removed.
        """
        removed = 0
        limit = self.limit if limit is None else limit
        if self._connection is None:
            return 0
        try:
            while self.size() > limit:
                share = max(100, round(self._count() * (1 - limit / self.size())))
                gone = self._connection.execute(
                    "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries ORDER BY used, rowid LIMIT ?)",
                    (share,),
                ).rowcount
                if not gone:
                    break
                removed += gone
            if removed:
                self._connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
        except sqlite3.Error as error:
            self._give_up(error)
        return removed

    def _count(self) -> int:
        assert self._connection is not None
        return int(self._connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    def close(self) -> None:
        """Give the file back."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
    try:
        connection.executescript(SETUP)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _checksum(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, key=key, digest_size=16).digest()


def _encoded(row: Extracted) -> bytes:
    reason = row.reason.encode()
    if row.values is None:
        return ABSENT + reason
    values = row.values.astype("<f4").tobytes()
    return PRESENT + values if row.cause is None else NOTED + len(reason).to_bytes(2, "big") + reason + values


def _decoded(value: bytes) -> Extracted:
    if value[:1] == ABSENT:
        return Extracted(None, Cause.parse(value[1:].decode()))
    start, cause = 1, None
    if value[:1] == NOTED:
        start = 3 + int.from_bytes(value[1:3], "big")
        cause = Cause.parse(value[3:start].decode())
    return Extracted(np.frombuffer(value, "<f4", offset=start).astype(np.float32), cause)
