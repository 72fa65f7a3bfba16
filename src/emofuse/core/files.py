"""How files are written, so that none is ever half there, and JSON; tables, whose libraries load long, are apart."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path
from typing import Any
from uuid import uuid4

from emofuse.core.errors import DataError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path` and rename it to `path` when the block succeeds.

    A kill at any instant leaves the old file or the new one, never half of one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(path)
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn what the system says of a file that a user asked for into one message.

    Raises:
        DataError: the block couldn't write it.
    """
    try:
        yield
    except OSError as error:
        problem = error.strerror or error
        raise DataError(
            f"{path}: can't be written ({problem}); expected a file in a folder that you may write to"
        ) from None


def check_writable(path: Path) -> None:
    """Check that a file can be written, before what it shall hold is computed; one that is there stays as it is.

    Raises:
        DataError: it can't.
    """
    with writable(path):
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = _aside(path)
        aside.touch()
        aside.unlink()


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, so that equal content gives equal bytes."""
    with atomic_write(path) as aside:
        aside.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage wrote.

    Raises:
        DataError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run `dvc repro`, which makes it") from None
    except ValueError as error:
        raise DataError(f"{path}: expected JSON; {error}. Delete it and run `dvc repro`") from None
