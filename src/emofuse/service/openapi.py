"""The bodies in the OpenAPI description, which FastAPI does not know since the service parses them itself."""

from __future__ import annotations

from typing import Any

from emofuse.core.params import ServeParams
from emofuse.service.schemas import (
    EXAMPLE_CONTEXT,
    DialogueContext,
    PredictRequest,
    Problem,
    TimelineOptions,
)

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is no multipart body."},
    401: {"model": Problem, "description": "The service asks for a key, and this is none of its keys."},
    408: {"model": Problem, "description": "The body came too slowly."},
    413: {"model": Problem, "description": "The body is over the limit."},
    422: {"model": Problem, "description": "Something in the body is not as described, over a limit, or no clip."},
    429: {"model": Problem, "description": "The key was used too often; try again after `Retry-After` seconds."},
    503: {"model": Problem, "description": "The service is busy; try again after `Retry-After` seconds."},
    507: {"model": Problem, "description": "The service's disk has no room for the upload."},
}
NDJSON = "application/x-ndjson"
TIMELINE_RESPONSES: dict[int | str, dict[str, Any]] = REFUSALS | {
    200: {
        "description": "A line of JSON a window, then one with the number of windows, or with an error. With speakers, "
        "lines that tell how many seconds were listened to come first.",
        "content": {NDJSON: {"schema": {"type": "string"}}},
    }
}
SOMETHING = {"anyOf": [{"required": [name]} for name in ("video", "audio", "utterance")]}
FILE = {"type": "string", "format": "binary"}


def predict_body(limits: ServeParams) -> dict[str, Any]:
    """The body of `/predict`."""
    form = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "video": FILE | {"description": f"a clip, at most {limits.bytes} bytes and {limits.seconds:g} s"},
            "audio": FILE | {"description": "a sound file; goes before the sound of the video"},
            "utterance": {"type": "string", "maxLength": limits.text, "description": "what was said"},
            "context": _schema(DialogueContext, limits) | {"description": "the dialogue context, as JSON"},
            "transcribe": {"type": "boolean", "description": "whether the words are heard where no utterance is sent"},
        },
    }
    example = {"utterance": "I can't believe you did that!", "context": EXAMPLE_CONTEXT}
    return _body(
        _schema(PredictRequest, limits) | SOMETHING,
        form | SOMETHING,
        example,
        {"context": {"contentType": "application/json"}},
    )


def batch_body(limits: ServeParams) -> dict[str, Any]:
    """The body of `/predict_batch`."""
    # What is wrong with an item is told in its place, so that as far as the body goes, items may be anything.
    loose: dict[str, Any] = {"description": "an object as in the body of /predict", "example": {"utterance": "Oh no."}}
    items = {"type": "array", "items": loose, "minItems": 1, "maxItems": limits.items}
    form = {
        "type": "object",
        "required": ["items"],
        "properties": {"items": items | {"description": "as JSON; `video` and `audio` name file parts of this form"}},
        "additionalProperties": FILE,
    }
    example = {"items": [{"utterance": "Oh no."}, {"utterance": "We won!"}]}
    schema = {"type": "object", "required": ["items"], "additionalProperties": False, "properties": {"items": items}}
    return _body(schema, form, example, {"items": {"contentType": "application/json"}})


def timeline_body(limits: ServeParams) -> dict[str, Any]:
    """The body of `/timeline`."""
    options = TimelineOptions.model_json_schema()["properties"]
    form = {
        "type": "object",
        "required": ["video"],
        "additionalProperties": False,
        "properties": {
            "video": FILE | {"description": f"at most {limits.timeline_bytes} bytes and {limits.timeline_seconds:g} s"},
            **{name: _option(option) for name, option in options.items()},
            "transcript": {
                "type": "string",
                "description": "SRT, VTT, or JSON with times: [{text, start, end, speaker}]; "
                "without window and hop, its lines are the windows",
            },
        },
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


def _option(option: dict[str, Any]) -> dict[str, Any]:
    """An option of a form, in which null is left out."""
    kind = option["anyOf"][0] if "anyOf" in option else {"type": option["type"]}
    return {**kind, "description": option["description"]}


def _body(
    schema: dict[str, Any], form: dict[str, Any], example: dict[str, Any], encoding: dict[str, Any]
) -> dict[str, Any]:
    content = {
        "application/json": {"schema": schema, "example": example},
        "multipart/form-data": {"schema": form, "encoding": encoding},
    }
    return {"requestBody": {"required": True, "content": content}}


def _schema(model: Any, limits: ServeParams) -> dict[str, Any]:
    """A model's schema on its own, its parts put in their places, its texts limited."""
    whole = model.model_json_schema()
    parts = whole.pop("$defs", {})

    def put(node: Any, name: str = "") -> Any:
        """A node with its references resolved; `name` is the property that it describes."""
        if isinstance(node, list):
            return [put(part, name) for part in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return put(parts[node["$ref"].rpartition("/")[2]], name)
        limit = {"maxLength": limits.text} if name in ("utterance", "text") and node.get("type") == "string" else {}
        return {key: put(value, key if key != "anyOf" else name) for key, value in node.items()} | limit

    result: dict[str, Any] = put(whole)
    return result
