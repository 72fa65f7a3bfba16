"""The body of a request, cut off at its limits while it streams: its bytes, its speed and its time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emofuse.core.params import ServeParams
from emofuse.service.errors import RefusedError

FORM_BYTES = 2**20  # of a form, beside its files
LINGER = 1.0  # seconds in which a client that still sends can read that it should not
GRACE = 10.0  # seconds after which the speed of a body counts


class BodyLimit:
    """ASGI middleware that keeps clients from holding a place for good.

    Reading more of a body than its kind may have raises a `RefusedError` with status 413; waiting for one that is
    slower than `upload_speed` or takes too long, one with status 408. Who doesn't read an answer for `request_seconds`
    is left.
    """

    def __init__(self, app: ASGIApp, limits: ServeParams) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, limits = dict(scope["headers"]), self._limits
        form = media_type(headers.get(b"content-type", b"").decode("latin-1")).startswith("multipart/")
        files = limits.timeline_bytes if scope["path"] == "/timeline" else limits.bytes
        most = files + FORM_BYTES if form else limits.json_bytes
        longest = limits.timeline_upload_seconds if scope["path"] == "/timeline" else limits.request_seconds
        claimed = headers.get(b"content-length", b"")
        size = int(claimed) if claimed.isdigit() and int(claimed) > most else 0
        over = whole = False
        clock = asyncio.get_running_loop()
        began: float | None = None

        async def limited() -> Message:
            """The next part of the body, up to the limits."""
            nonlocal size, over, whole, began
            if whole:
                return await receive()  # that the client is gone
            began = clock.time() if began is None else began
            message: Message = {"type": "http.request"}
            if size <= most:
                try:
                    async with asyncio.timeout_at(began + min(longest, GRACE + size / limits.upload_speed)):
                        message = await receive()
                except TimeoutError:
                    over = True
                    raise RefusedError(
                        408,
                        f"found {size} bytes of a body in {clock.time() - began:.0f} s, expected at least "
                        f"{limits.upload_speed} a second and all in {longest:g} s; send it faster, or a shorter clip",
                        CLOSE,
                    ) from None
            size += len(message.get("body", b""))
            whole = not message.get("more_body")
            if size > most:
                over = True
                remedy = "send a shorter clip" if form else "send clips as multipart/form-data, or fewer at a time"
                raise RefusedError(
                    413, f"found a body of at least {size} bytes, expected at most {most}; {remedy}", CLOSE
                )
            return message

        async def lingering(message: Message) -> None:
            """Send a part of the answer; after the last, listen a little where the client may still be sending."""
            if over and message["type"] == "http.response.body" and not message.get("more_body"):
                await send({**message, "more_body": True})
                await _drain(receive)
                message = {"type": "http.response.body", "body": b""}
            try:
                async with asyncio.timeout(limits.request_seconds):
                    await send(message)
            except TimeoutError:
                raise _NotReadError from None

        with suppress(_NotReadError):
            await self._app(scope, limited, lingering)


class _NotReadError(Exception):
    """The client doesn't read its answer."""


CLOSE = {"Connection": "close"}


def media_type(header: str) -> str:
    """The media type of a Content-Type header, in small letters, without its parameters."""
    return header.split(";")[0].strip().lower()


async def _drain(receive: Receive) -> None:
    """Drop what still comes for a moment: closing at once would reset the connection before the answer is read."""
    try:
        async with asyncio.timeout(LINGER):
            while (message := await receive())["type"] == "http.request" and message.get("more_body"):
                pass
    except TimeoutError:
        pass
