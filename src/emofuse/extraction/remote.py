"""Clips that are not on this machine: on shared or object storage, by any URL that fsspec reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emofuse.core.errors import DataError, MediaError
from emofuse.core.reasons import Reason
from emofuse.core.records import Utterance


@contextmanager
def readable(utterance: Utterance) -> Iterator[None]:
    """Within this block, what goes wrong with reading an utterance's clip is an error of ours.

    Raises:
        MediaError: it is missing or can't be read.
        DataError: nothing is installed that reads such URLs.
    """
    try:
        yield
    except FileNotFoundError:
        raise MediaError(Reason.NOT_FOUND) from None
    except OSError as error:
        raise MediaError(Reason.UNREADABLE, error.strerror or type(error).__name__) from None
    except (ImportError, ValueError) as error:
        raise DataError(
            f"extract.clips: {utterance.url!r} can't be read: {error}; "
            "expected a folder or a URL such as s3://bucket/folder; install what fsspec needs for it (s3fs, say)"
        ) from None


@contextmanager
def opened(utterance: Utterance) -> Iterator[Any]:
    """An utterance's clip that isn't on this machine, as a binary file; raises what `readable` does."""
    with readable(utterance):
        import fsspec

        with fsspec.open(utterance.url, "rb") as file:
            yield file
