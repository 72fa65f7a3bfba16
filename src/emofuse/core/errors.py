"""Every error that emofuse raises on purpose.

A message says what was found, what was expected and what to do. `guard` turns these errors into one printed
message and exit code 2, so that bad input never shows a user a stack trace.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from emofuse.core.reasons import Cause, Reason


class EmofuseError(Exception):
    """Base of all errors that a user can mend."""


class ParamsError(EmofuseError):
    """params.yaml is unreadable or holds mistakes; the message names all of them."""


class DataError(EmofuseError):
    """A table, folder or file of the user's data is missing or not as expected."""


class MediaError(EmofuseError):
    """A clip can't be used, or not to its end; its cause becomes the `reason` of an absent modality."""

    def __init__(self, reason: Reason, detail: object = "") -> None:
        super().__init__(reason, detail)
        self.cause = Cause(reason, str(detail))

    def __str__(self) -> str:
        return str(self.cause)


class BundleError(EmofuseError):
    """A model folder is incomplete, altered or of another format."""


class EncoderError(EmofuseError):
    """Pretrained weights can't be found, verified or loaded."""


class ExtractorError(EmofuseError):
    """An extractor can't start, so that no clip can be blamed."""


class RayError(EmofuseError):
    """Ray is not installed or can't be reached."""


class TrackingError(EmofuseError):
    """The MLflow server can't be reached or refuses a request."""


def listed(problems: Sequence[str]) -> str:
    """Join problems to the body of one message, a line each."""
    return "\n".join(f"  - {problem}" for problem in problems)


@contextmanager
def guard() -> Iterator[None]:
    """Print an EmofuseError, or that a package is missing, as a message on stderr and exit with 2.

    An interrupt exits with 130.
    """
    try:
        yield
    except EmofuseError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "emofuse"):
            raise
        remedy = "this needs what the pipeline needs: pip install '.[pipeline]' in a clone of emofuse"
        print(f"error: found no package {package}; {remedy}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted: nothing half-written was left; run the same command to go on", file=sys.stderr)
        # All is tidied up by now; Python's own ending waits for threads and takes libraries apart, which takes seconds.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)
