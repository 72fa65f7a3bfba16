"""A corpus to the data root, file by file, each recorded as it comes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pooch

from emofuse.core.errors import DataError
from emofuse.datasets.provenance import FetchedFile, Provenance, read_provenance
from emofuse.fetch.download import download, full, listed_checksums
from emofuse.fetch.sources import Remote, Source
from emofuse.fetch.unpack import unpack

ASIDE = ".fetch"  # where files are until they are whole


def bring(source: Source, root: Path, say: Callable[[str], None]) -> None:
    """Bring what is not there yet; a call that was stopped or that failed is gone on with by the next.

    Args:
        source: the corpus.
        root: the data root, made where it is missing.
        say: is told a line at a time what happens.

    Raises:
        DataError: something can't be had, checked, unpacked or written, or stands in the way.
    """
    record = read_provenance(root) or Provenance(title=source.title, licence=source.licence)
    listed = listed_checksums(source.record) if source.record else {}
    for named in source.files:
        remote = replace(named, checksum=named.checksum or listed.get(named.path))
        target = root / remote.target
        recorded = any(file.path == remote.target for file in record.files)
        if recorded and target.exists():
            say(f"{target}: is there")
            continue
        if target.exists():
            raise DataError(f"{target}: is there, but not by fetch; move it away, or leave fetch out and use it")
        entry = _entry(remote, download(remote, root / ASIDE))
        others = [file for file in record.files if file.path != remote.target]
        record = record.model_copy(update={"files": [*others, entry]})
        _place(remote, root, record)
        say(f"{target}: {entry.bytes / 1e6:.1f} MB, sha256 {entry.sha256}; {_held_to(remote)}")
    shutil.rmtree(root / ASIDE, ignore_errors=True)


def _place(remote: Remote, root: Path, record: Provenance) -> None:
    """Put what was brought where it belongs, whole, and write the record."""
    brought, target = root / ASIDE / remote.local, root / remote.target
    try:
        ready = brought
        if remote.target != remote.path:
            ready = brought.with_name(f"{brought.name}.unpacked")
            unpack(brought, ready)
        # Recorded first: what is recorded and not there is brought again, what is there and not recorded is a user's.
        record.write(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        ready.replace(target)
        brought.unlink(missing_ok=True)
    except OSError as error:
        raise full(root, error) from None


def _entry(remote: Remote, brought: Path) -> FetchedFile:
    return FetchedFile(
        path=remote.target,
        url=remote.url,
        bytes=brought.stat().st_size,
        sha256=pooch.file_hash(str(brought)),
        checksum=remote.checksum,
        date=datetime.now(UTC).date().isoformat(),
    )


def _held_to(remote: Remote) -> str:
    if remote.checksum is None:
        return "its publisher names no checksum that we know, so it was held to none; what came is recorded"
    return f"as its publisher says ({remote.checksum})"
