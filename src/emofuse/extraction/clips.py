"""The clip of an utterance, on this machine or fetched to it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emofuse.core.errors import MediaError
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Clip, Utterance
from emofuse.extraction.remote import opened
from emofuse.media.clip import FileClip, Shot

PART = 2**20  # bytes that are copied at a time


class RemoteClip:
    """A clip that is copied to this machine when it is first looked at.

    Args:
        utterance: whose clip it is.
        folder: where the copy is put.
    """

    def __init__(self, utterance: Utterance, folder: Path) -> None:
        self._utterance, self._path = utterance, folder / "clip"
        self._copy: FileClip | None = None
        self.damage: dict[str, Cause] = {}

    def _near(self) -> FileClip:
        if self._copy is None:
            digest = hashlib.sha256()
            with opened(self._utterance) as far, self._path.open("wb") as near:
                while part := far.read(PART):
                    near.write(part)
                    digest.update(part)
            if self._utterance.sha256 not in (None, digest.hexdigest()):
                raise MediaError(Reason.CHANGED)
            self._copy = FileClip(self._path)
            self.damage = self._copy.damage
        return self._copy

    def frames(self, fps: float, width: int) -> Iterator[Shot]:
        """As `FileClip.frames`.

        Raises:
            MediaError: as there, or the clip is missing, can't be fetched or is not the one that ingest read.
        """
        yield from self._near().frames(fps, width)

    def sound(self, rate: int) -> NDArray[np.float32]:
        """As `FileClip.sound`; raises what `frames` does."""
        return self._near().sound(rate)

    def seconds(self) -> float:
        """As `FileClip.seconds`; raises what `frames` does."""
        return self._near().seconds()


@contextmanager
def clip_of(utterance: Utterance) -> Iterator[Clip | None]:
    """An utterance's clip, wherever it is; a copy of it is gone when the block ends. Nothing is opened yet."""
    if utterance.url is not None:
        with tempfile.TemporaryDirectory(prefix="emofuse-") as folder:
            yield RemoteClip(utterance, Path(folder))
    else:
        yield FileClip(utterance.clip) if isinstance(utterance.clip, Path) else utterance.clip
