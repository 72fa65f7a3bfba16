"""Clips that a table names: found under the data root and nowhere else, and hashed by content."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path, PurePosixPath, PureWindowsPath

from emofuse.core.hashes import FileHashes
from emofuse.core.progress import progress
from emofuse.core.reasons import Cause, Reason
from emofuse.core.text import normal_label

THREADS = 4  # hashing waits for the disk and releases the interpreter


class ClipFolder:
    """The clips under a folder, by their paths as tables have them.

    Spaces around a name, backslashes, letters in another Unicode form or case: such a path stands for the one file that
    fits it, where there is exactly one.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listings: dict[Path, dict[str, list[Path]]] = {}

    def locate(self, path: str | None) -> tuple[str | None, list[str]]:
        """Check a clip's path as found in a table.

        Returns:
            The path relative to the root, or None; and what is wrong: it leaves the root (by `..`, as an absolute path
            or by a link), there is no such file, or its name only fits. None, of a data set without clips, is nothing
            wrong.
        """
        if path is None:
            return None, []
        if not path.strip():
            return None, [Reason.CLIP_NOT_GIVEN.value]
        if _leaves(path.strip()) or _leaves(_slashed(path)):
            return None, [str(Cause(Reason.CLIP_OUTSIDE, path))]
        if "\0" in path:
            return None, [str(Cause(Reason.CLIP_PATH, repr(path)))]
        try:
            exact = [self._root / name for name in (path, _slashed(path)) if (self._root / name).is_file()]
            files = exact[:1] or self.fitting(path)
        except OSError as error:
            return None, [str(Cause(Reason.CLIP_PATH, f"{error.strerror}: {path[:80]}"))]
        if len(files) != 1:
            several = f"; {len(files)} files nearly fit it: {', '.join(file.name for file in files)}" if files else ""
            return None, [str(Cause(Reason.CLIP_NOT_FOUND, f"{path}{several}"))]
        if not files[0].resolve().is_relative_to(self._root.resolve()):
            return None, [str(Cause(Reason.CLIP_LINKED_OUTSIDE, path))]
        name = files[0].relative_to(self._root).as_posix()
        same = name == PurePosixPath(path).as_posix()
        return name, [] if same else [f"no clip {path!a}; took {name!r}, the only one that fits"]

    def fitting(self, path: str) -> list[Path]:
        """The files that a path stands for when spaces, slashes, Unicode forms and case are taken lightly."""
        places = [self._root]
        for part in PurePosixPath(_slashed(path)).parts:
            places = [entry for place in places for entry in self._listing(place)[normal_label(part)]]
        return [place for place in places if place.is_file()]

    def _listing(self, folder: Path) -> dict[str, list[Path]]:
        """What a folder holds, by normal form."""
        if folder not in self._listings:
            entries = defaultdict(list)
            for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
                entries[normal_label(entry.name)].append(entry)
            self._listings[folder] = entries
        return self._listings[folder]


def _slashed(path: str) -> str:
    return path.strip().replace("\\", "/")


def _leaves(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute() or ".." in PurePosixPath(path).parts


def content_hashes(root: Path, clips: Sequence[str | None], cache: Path | None = None) -> list[str | None]:
    """The sha256 of each clip's bytes; None where there is no clip or it can't be read.

    Args:
        root: the folder that holds the clips.
        clips: paths relative to it.
        cache: folder in which hashes are kept, for those who ask for them later.
    """
    unique = sorted({clip for clip in clips if clip})
    with closing(FileHashes(cache)) as kept, ThreadPoolExecutor(THREADS) as pool:
        digests = pool.map(lambda clip: _sha256(root / clip, kept), unique)
        try:
            hashes = dict(zip(unique, progress(digests, "hash", len(unique), "clip"), strict=True))
        finally:  # who is interrupted waits for no clip that nobody has begun
            pool.shutdown(cancel_futures=True)
    return [hashes[clip] if clip else None for clip in clips]


def _sha256(path: Path, kept: FileHashes) -> str | None:
    try:
        return kept.sha256(path)
    except OSError:
        return None
