"""Starting an extractor, which proves itself before any clip is blamed, and extracting with it."""

from __future__ import annotations

from collections.abc import Callable

from emofuse.core.errors import EmofuseError, ExtractorError
from emofuse.core.reasons import Cause, Reason
from emofuse.core.records import Extracted, Utterance
from emofuse.features.contract import Extractor

REMEDY = "no clip is to blame; mend this and run the stage again, which goes on from where it was"


def started(make: Callable[[], Extractor]) -> Extractor:
    """Make an extractor and warm it up, in one thread.

    Raises:
        ExtractorError: it can't; the message says why.
    """
    try:
        one_thread()
        extractor = make()
        extractor.warm_up()
    except EmofuseError:
        raise
    except Exception as error:
        raise ExtractorError(f"the extractor can't start: {type(error).__name__}: {error}; {REMEDY}") from None
    return extractor


def died() -> ExtractorError:
    """The error for an extractor that ended its process before it had extracted anything."""
    return ExtractorError(f"the extractor can't start: it ends its process (too little memory?); {REMEDY}")


def one_thread() -> None:
    """Keep OpenCV to one thread in this process: a process a core does better than threads within one."""
    import cv2

    cv2.setNumThreads(1)


def extracted(extractor: Extractor, utterance: Utterance) -> Extracted:
    """The row of an utterance; a library that is upset by its clip gives a reason."""
    try:
        (row,) = extractor.extract([utterance])
    except EmofuseError:
        raise
    except Exception as error:
        return Extracted(None, Cause(Reason.FAILED, type(error).__name__))
    return row


def too_slow(seconds: float) -> Extracted:
    """The row of an utterance that took longer than so many seconds."""
    return Extracted(None, Cause(Reason.SLOW, f"{seconds:g}"))
