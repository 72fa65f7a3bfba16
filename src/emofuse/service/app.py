"""The HTTP interface, independent of how it is served."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from emofuse.core.params import ServeParams
from emofuse.service.body import BodyLimit
from emofuse.service.endpoints import Endpoints, Served
from emofuse.service.errors import RefusedError
from emofuse.service.openapi import REFUSALS, TIMELINE_RESPONSES, batch_body, predict_body, timeline_body
from emofuse.service.page import add_page

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # a full disk, a quota, the largest file that a process may write


def create_app(load: Callable[[], Served], limits: ServeParams) -> FastAPI:
    """The application.

    Args:
        load: gives what is served, at start.
        limits: what is refused.
    """
    endpoints = Endpoints(load, limits)
    app = FastAPI(
        title="emofuse",
        summary="Emotion of an utterance in a dialogue",
        description="A score of emotion is not a reading of inner feeling.",
        docs_url=None,
        redoc_url=None,
        lifespan=endpoints.lifespan,
    )
    app.add_middleware(BodyLimit, limits=limits)
    guarded: dict[str, Any] = {"dependencies": [Depends(endpoints.authenticate)]}
    post: dict[str, Any] = guarded | {"methods": ["POST"], "responses": REFUSALS}
    long = post | {"responses": TIMELINE_RESPONSES}
    app.add_api_route("/predict", endpoints.predict, openapi_extra=predict_body(limits), **post)
    app.add_api_route("/predict_batch", endpoints.predict_batch, openapi_extra=batch_body(limits), **post)
    app.add_api_route("/timeline", endpoints.timeline, openapi_extra=timeline_body(limits), **long)
    app.add_api_route(
        "/model", endpoints.model, responses={status: REFUSALS[status] for status in (401, 429)}, **guarded
    )
    app.add_api_websocket_route("/live", endpoints.live)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(HTTPException, _other)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(OSError, _full)
    app.state.ready = endpoints.ready
    add_page(app)
    return app


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    return JSONResponse({"error": str(error)}, error.status, error.headers)


async def _other(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _gone(_: Request, __: Exception) -> JSONResponse:
    return JSONResponse({"error": "the client is gone"}, 400)  # which nobody reads


async def _full(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    if error.errno not in NO_ROOM:
        raise error
    message = "found no room for the upload on the service's disk; try again later, or a shorter clip"
    return JSONResponse({"error": message}, 507)
