"""How many requests may be worked on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emofuse.service.errors import busy


class Places:
    """The requests that are worked on or wait.

    Args:
        most: how many there may be.
        seconds: that one may take.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._taken = 0

    @asynccontextmanager
    async def taken(self, timed: bool = True) -> AsyncIterator[None]:
        """Take a place.

        Args:
            timed: whether the time of the request is limited.

        Raises:
            RefusedError: all are taken, or the request took too long.
        """
        if self._taken >= self._most:
            raise busy(f"{self._taken} requests are worked on, at most {self._most} may be")
        self._taken += 1
        try:
            async with asyncio.timeout(self._seconds if timed else None):
                yield
        except TimeoutError:
            raise busy(f"no answer in {self._seconds:g} s") from None
        finally:
            self._taken -= 1
