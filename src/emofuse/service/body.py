"""The body of a request, cut off at its limit while it streams."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emofuse.core.params import ServeParams
from emofuse.service.errors import RefusedError

FORM_BYTES = 2**20  # of a form, beside its files
LINGER = 1.0  # seconds in which a client that still sends can read that it should not


class BodyLimit:
    """ASGI middleware: reading more of a body than its kind may have raises a `RefusedError`, status 413."""

    def __init__(self, app: ASGIApp, limits: ServeParams) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        form = media_type(headers.get(b"content-type", b"").decode("latin-1")).startswith("multipart/")
        files = self._limits.timeline_bytes if scope["path"] == "/timeline" else self._limits.bytes
        most = files + FORM_BYTES if form else self._limits.json_bytes
        claimed = headers.get(b"content-length", b"")
        size = int(claimed) if claimed.isdigit() and int(claimed) > most else 0
        over = False

        async def limited() -> Message:
            """The next part of the body, up to the limit."""
            nonlocal size, over
            message: Message = {"type": "http.request"} if size > most else await receive()
            size += len(message.get("body", b""))
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
            await send(message)

        await self._app(scope, limited, lingering)


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
