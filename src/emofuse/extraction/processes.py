"""Extraction over worker processes, one a core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from emofuse.core.device import available_cores
from emofuse.core.errors import ExtractorError
from emofuse.core.processes import processes
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, Utterance
from emofuse.extraction.start import died, extracted, started, too_slow
from emofuse.features.contract import Extractor

Item = tuple[bytes, Utterance]
Result = tuple[bytes, Extracted]
Make = Callable[[], Extractor]
WAITING = 3  # items a worker that are sent ahead
CRASHED = Extracted(None, Cause(Reason.CRASHED))

_extractor: Extractor | ExtractorError | None = None  # one a worker process, or why there is none


def in_processes(make: Make, items: Iterator[Item], seconds: float, workers: int | None = None) -> Iterator[Result]:
    """Extract with worker processes; their number changes no result.

    A clip on which a worker dies is tried once more; where that dies too, the row says so, as it does of one that takes
    too long.

    Args:
        make: makes the extractor, called once a worker.
        items: utterances under their keys, drawn as workers get free.
        seconds: that an utterance may take.
        workers: processes; None for the cores that this process may use.

    Raises:
        ExtractorError: the extractor can't start.
    """
    from pebble import ProcessExpired

    count = workers or available_cores()
    sent: dict[Future[Extracted], Item] = {}
    tried: set[bytes] = set()
    with processes(count, _start, make) as submit:
        while True:
            for item in islice(items, max(0, count * WAITING - len(sent))):
                sent[submit(_extract, item[1], seconds=seconds)] = item
            if not sent:
                return
            for future in wait(sent, return_when=FIRST_COMPLETED).done:
                key, utterance = sent.pop(future)
                try:
                    yield key, future.result()
                except TimeoutError:
                    yield key, too_slow(seconds)
                except ProcessExpired:
                    if key in tried:
                        yield key, CRASHED
                    else:  # a worker may die for a reason of its own
                        tried.add(key)
                        sent[submit(_extract, utterance, seconds=seconds)] = key, utterance
                except BrokenProcessPool:
                    raise died() from None


def _start(make: Make) -> None:
    global _extractor
    try:
        _extractor = started(make)
    except ExtractorError as error:
        _extractor = error


def _extract(utterance: Utterance) -> Extracted:
    assert _extractor is not None
    if isinstance(_extractor, ExtractorError):
        raise _extractor
    return extracted(_extractor, utterance)
