"""Clips that are not on this machine: on shared or object storage, by any URL that fsspec reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emofuse.core.errors import DataError, MediaError
from emofuse.core.reasons import Reason
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
            assert isinstance(utterance.clip, Path)
            with utterance.clip.open("rb") as file:
                yield file
        else:
            import fsspec

            with fsspec.open(utterance.url, "rb") as file:
                yield file
    except FileNotFoundError:
        raise MediaError(Reason.NOT_FOUND) from None
    except OSError as error:
        raise MediaError(Reason.UNREADABLE, error.strerror or type(error).__name__) from None
    except (ImportError, ValueError) as error:
        raise DataError(
            f"extract.clips: {utterance.url!r} can't be read: {error}; "
            "expected a folder or a URL such as s3://bucket/folder; install what fsspec needs for it (s3fs, say)"
        ) from None
