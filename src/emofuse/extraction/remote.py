"""Clips that are not on this machine: on shared or object storage, by any URL that fsspec reads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from emofuse.core.errors import DataError, MediaError
from emofuse.core.records import Utterance


@contextmanager
def opened(utterance: Utterance) -> Iterator[Any]:
    """An utterance's clip as a binary file, wherever it is.

    Raises:
        MediaError: it is missing or can't be read.
        DataError: nothing is installed that reads such URLs.
    """
    try:
        if utterance.url is None:
            assert utterance.clip is not None
            with utterance.clip.open("rb") as file:
                yield file
        else:
            import fsspec

            with fsspec.open(utterance.url, "rb") as file:
                yield file
    except FileNotFoundError:
        raise MediaError("file not found") from None
    except OSError as error:
        raise MediaError(f"can't be read: {error.strerror or type(error).__name__}") from None
    except (ImportError, ValueError) as error:
        raise DataError(
            f"extract.clips: {utterance.url!r} can't be read: {error}; "
            "expected a folder or a URL such as s3://bucket/folder; install what fsspec needs for it (s3fs, say)"
        ) from None


@contextmanager
def fetched(utterance: Utterance) -> Iterator[Utterance]:
    """The utterance with its clip copied to this machine, which is gone when the block ends.

    Raises:
        MediaError: the clip is missing or can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="emofuse-") as folder:
        clip = Path(folder) / "clip"
        with opened(utterance) as far, clip.open("wb") as near:
            shutil.copyfileobj(far, near, 2**20)
        yield replace(utterance, clip=clip, url=None)
