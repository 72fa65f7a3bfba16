"""Clips that a table names: found under the data root and nowhere else, and hashed by content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath, PureWindowsPath

from emofuse.core.progress import progress
from emofuse.core.reasons import Cause, Reason

THREADS = 4  # hashing waits for the disk and releases the interpreter


def locate(root: Path, path: str | None) -> tuple[str | None, list[str]]:
    """Check a clip's path as found in a table.

    Returns:
        The path relative to `root`, or None and what is wrong: it leaves the root (by `..`, as an absolute path or by
        a link), or there is no such file. None, of a data set without clips, is nothing wrong.
    """
    if path is None:
        return None, []
    if not path.strip():
        return None, [Reason.CLIP_NOT_GIVEN.value]
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return None, [str(Cause(Reason.CLIP_OUTSIDE, path))]
    if "\0" in path:
        return None, [str(Cause(Reason.CLIP_PATH, repr(path)))]
    here = root / path
    try:
        found = here.is_file()
    except OSError as error:
        return None, [str(Cause(Reason.CLIP_PATH, f"{error.strerror}: {path[:80]}"))]
    if not found:
        return None, [str(Cause(Reason.CLIP_NOT_FOUND, path))]
    if not here.resolve().is_relative_to(root.resolve()):
        return None, [str(Cause(Reason.CLIP_LINKED_OUTSIDE, path))]
    return PurePosixPath(path).as_posix(), []


def content_hashes(root: Path, clips: Sequence[str | None]) -> list[str | None]:
    """The sha256 of each clip's bytes; None where there is no clip or it can't be read."""
    unique = sorted({clip for clip in clips if clip})
    with ThreadPoolExecutor(THREADS) as pool:
        hashes = pool.map(lambda clip: _sha256(root / clip), unique)
        known = dict(zip(unique, progress(hashes, "hash", len(unique), "clip"), strict=True))
    return [known[clip] if clip else None for clip in clips]


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
