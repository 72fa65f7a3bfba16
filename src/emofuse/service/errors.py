"""How the service says no."""

from __future__ import annotations

from collections.abc import Mapping

RETRY_AFTER = {"Retry-After": "1"}  # seconds


class RefusedError(Exception):
    """A request that can't be answered, with its HTTP status."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def busy(state: str) -> RefusedError:
    """The refusal of what is over the service's capacity and would be answered a little later."""
    return RefusedError(503, f"found a busy service: {state}; try again after a second", RETRY_AFTER)
