"""Extraction of one modality: what is in the cache is taken from it, the rest is extracted, and a table is written."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from emofuse.core.device import pick_device
from emofuse.core.errors import ExtractorError
from emofuse.core.hashes import FileHashes
from emofuse.core.params import AudioParams, ExtractorParams, ExtractParams
from emofuse.core.progress import Tally, tallied
from emofuse.core.reasons import BLAMED, PASSING
from emofuse.core.records import Extracted, FeatureTable, Utterance
from emofuse.core.tables import write_features
from emofuse.extraction.cache import FeatureCache
from emofuse.extraction.engine import Engine
from emofuse.extraction.identity import identity
from emofuse.features.contract import Extractor


@dataclass(frozen=True)
class Task:
    """One modality's extraction.

    Attributes:
        modality: its name.
        params: its section of params.yaml.
        make: gives the extractor; it and its module must be picklable, and it is called once a worker.
        content: gives what an utterance's features depend on, or the answer where that says it all; None where they
            depend on more than the content, so that they can't be cached.
    """

    modality: str
    params: ExtractorParams
    make: Callable[[], Extractor]
    content: Callable[[Utterance, FileHashes], bytes | Extracted] | None


def extract(task: Task, utterances: Sequence[Utterance], keys: pd.DataFrame, path: Path, run: ExtractParams) -> None:
    """Extract n utterances and write their features.

    Killed at any instant and started again, it goes on from what the cache has. What `run` says changes no byte of the
    table.

    Args:
        task: the modality.
        utterances: n utterances.
        keys: their n keys.
        path: the Parquet table to write.
        run: how to run, and where the cache is.
    """
    with _extracted(task, utterances, run) as (work, rows):
        write_features(path, keys, work.names(), rows)


def extract_rows(task: Task, utterances: Sequence[Utterance], run: ExtractParams) -> list[Extracted]:
    """As `extract`, but give the n rows, whose lengths may differ, instead of writing them."""
    with _extracted(task, utterances, run) as (_, rows):
        return list(rows)


def extract_table(task: Task, utterances: Sequence[Utterance], run: ExtractParams) -> FeatureTable:
    """As `extract`, but give the features instead of writing them."""
    with _extracted(task, utterances, run) as (work, rows):
        return FeatureTable.stack(work.names(), list(rows))


@contextmanager
def _extracted(
    task: Task, utterances: Sequence[Utterance], run: ExtractParams
) -> Iterator[tuple[_Work, Iterator[Extracted]]]:
    """The work, of which all is done, and the n rows, which are read from the cache as they are taken."""
    cache = FeatureCache(run.cache, round(run.cache_gb * 2**30))
    with closing(cache), closing(FileHashes(run.cache)) as hashes:
        with tallied(task.modality, len(utterances), "clip" if task.content else "row") as tally:
            work = _Work(task, cache, hashes, run)
            yield work, work.rows(work.find(utterances, tally), utterances)
        cache.prune()


def _in_batches(task: Task) -> bool:
    """Whether the extractor is better run once for many utterances than once a core."""
    hears = isinstance(task.params, AudioParams) and _encodes(task)
    return task.modality in ("text", "metadata", "transcript") or (hears and pick_device() == "cuda")


def _encodes(task: Task) -> bool:
    """Whether a pretrained network, which can use a GPU, is part of the extractor."""
    return task.modality == "transcript" or getattr(task.params, "encoder", "none") != "none"


class _Work:
    def __init__(self, task: Task, cache: FeatureCache, hashes: FileHashes, run: ExtractParams) -> None:
        self._task = task
        self._cache = cache
        self._hashes = hashes
        self._engine = Engine(run, own_process=_in_batches(task), gpu=_encodes(task))
        self._identity = identity(task.modality, task.params) if task.content else ""
        self._kept: dict[bytes, Extracted] = {}  # what the cache can't hold
        self._proven = False  # whether the extractor has given features of any utterance

    def find(self, utterances: Sequence[Utterance], tally: Tally) -> list[bytes]:
        """See to it that the row of each utterance is in the cache or kept.

        Returns:
            The n keys of their rows.

        Raises:
            ExtractorError: the extractor can't start, or fails on several clips and works on none.
        """
        keys: list[bytes] = []
        copies: dict[bytes, int] = {}  # of a row that is being extracted: the same clip or words stand in several rows

        def _missing() -> Iterator[tuple[bytes, Utterance]]:
            for number, utterance in enumerate(utterances):
                key, row = self._look_up(number, utterance)
                keys.append(key)
                if row is not None:
                    self._proven |= row.values is not None
                    tally.add(row, cached=True)
                elif key in copies:
                    copies[key] += 1
                else:
                    copies[key] = 0
                    yield key, utterance

        blamed: list[Extracted] = []
        for key, row in self._engine.run(self._task.make, _missing()):
            self._proven |= row.values is not None
            if row.cause is not None and row.cause.reason in BLAMED:
                blamed.append(row)
            self._keep(key, row)
            tally.add(row)
            copies_seen = copies.pop(key)
            for _ in range(copies_seen):
                tally.add(row, cached=True)
        if len(blamed) > 1 and not self._proven:
            raise ExtractorError(
                f"{self._task.modality}: the extractor fails on each of {len(blamed)} clips that it was given, as "
                f"`{blamed[0].reason}`, and works on none, so that no clip can be blamed; see that it can run here "
                "(memory, libraries, extract.seconds) and run the stage again"
            )
        return keys

    def _look_up(self, number: int, utterance: Utterance) -> tuple[bytes, Extracted | None]:
        if self._task.content is None:
            return number.to_bytes(8, "big"), None
        content = self._task.content(utterance, self._hashes)
        if isinstance(content, Extracted):
            key = b"reason:" + content.reason.encode()
            self._kept[key] = content
            return key, content
        key = hashlib.sha256(bytes.fromhex(self._identity) + content).digest()
        return key, self._kept.get(key) or self._cache.get(key)

    def _keep(self, key: bytes, row: Extracted) -> None:
        lasting = self._task.content is not None and (row.cause is None or row.cause.reason not in PASSING)
        if not (lasting and self._cache.put(key, self._task.modality, row)):
            self._kept[key] = row

    def rows(self, keys: Sequence[bytes], utterances: Sequence[Utterance]) -> Iterator[Extracted]:
        """The rows under n keys; what was lost from the cache since is extracted again."""
        for key, utterance in zip(keys, utterances, strict=True):
            row = self._kept.get(key) or self._cache.get(key)
            if row is None:
                [(_, row)] = self._engine.run(self._task.make, iter([(key, utterance)]))
                self._keep(key, row)
            yield row

    def names(self) -> tuple[str, ...]:
        """The feature names, without making an extractor where they are known."""
        names = self._cache.names(self._identity) if self._identity else None
        if names is None:
            names = self._task.make().names
            if self._identity:
                self._cache.put_names(self._identity, names)
        return names
