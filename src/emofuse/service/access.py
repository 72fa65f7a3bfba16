"""Who may ask, and how often."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Sequence

from starlette.datastructures import Headers

from emofuse.core.params import ServeParams
from emofuse.service.errors import RefusedError

KEYS = "EMOFUSE_API_KEYS"  # comma separated; anyone may ask where there are none


class Access:
    """Lets in who has a key, each so often: a bucket of `rate_burst` tokens that fills by `rate` a second.

    Args:
        keys: those that are let in; anyone is, without a limit, where there are none.
        limits: how often.
    """

    def __init__(self, keys: Sequence[str], limits: ServeParams) -> None:
        self._keys = [key.encode() for key in keys]
        self._limits = limits
        self._buckets = [(float(limits.rate_burst), time.monotonic()) for _ in keys]

    @classmethod
    def from_environment(cls, limits: ServeParams) -> Access:
        """With the keys of `EMOFUSE_API_KEYS`."""
        return cls([key.strip() for key in os.environ.get(KEYS, "").split(",") if key.strip()], limits)

    def check(self, headers: Headers, key: str | None = None) -> None:
        """Let a request in.

        Args:
            headers: with the key in `Authorization: Bearer KEY` or `X-API-Key: KEY`.
            key: of the client, where it came otherwise.

        Raises:
            RefusedError: 401 without a key that is known, 429 where it was used too often.
        """
        if not self._keys:
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = (key or headers.get("x-api-key") or (token if scheme.lower() == "bearer" else "")).strip().encode()
        # Every key is compared, in constant time, so that the time tells nothing.
        matching = [number for number, one in enumerate(self._keys) if hmac.compare_digest(one, given)]
        if not matching:
            raise RefusedError(
                401,
                f"found {'an unknown key' if given else 'no key'}; send yours as X-API-Key",
                {"WWW-Authenticate": "Bearer"},
            )
        self._take(matching[0])

    def _take(self, number: int) -> None:
        tokens, last = self._buckets[number]
        now = time.monotonic()
        tokens = min(self._limits.rate_burst, tokens + (now - last) * self._limits.rate)
        if tokens < 1:
            self._buckets[number] = tokens, now
            wait = (1 - tokens) / self._limits.rate
            raise RefusedError(
                429,
                f"found more than {self._limits.rate:g} requests a second with this key; wait {wait:.1f} s",
                {"Retry-After": str(max(1, round(wait)))},
            )
        self._buckets[number] = tokens - 1, now
