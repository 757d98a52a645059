"""JSON in and out."""

import json
from collections.abc import Callable, Mapping
from html import escape
from typing import Final

from aiohttp import web

from .deploy_body import Json
from .platform import Refusal, Shape

_FAILED: Final[Mapping[Shape, Callable[[str], dict[str, Json]]]] = {
    "response.message": lambda reason: {"response": {"message": reason}},
    "response.error": lambda reason: {"response": {"error": reason}},
    "response.errors": lambda reason: {"response": {"errors": [{"msg": reason, "code": "DEPLOYMENT_FAILED"}]}},
    "response.nested": lambda reason: {"response": {"error": {"details": [{"description": reason}]}}},
    "response.text": lambda reason: {"response": reason},
    "response.html": lambda reason: {
        "response": {"message": f"<html><head><title>Failed</title></head><body><p>{escape(reason)}</p></body></html>"}
    },
    "message": lambda reason: {"message": reason},
    "errors": lambda reason: {"errors": [{"msg": reason, "code": "DEPLOYMENT_FAILED"}]},
    "statusMessage": lambda reason: {"statusMessage": reason},
    "failureReason": lambda reason: {"failureReason": reason},
    "none": lambda _: {},
}


def failed(shape: Shape, reason: str) -> dict[str, Json]:
    """What the answer of a job that has failed says of the reason."""
    return _FAILED[shape](reason)


def parsed_body(body: bytes) -> Json:
    """A request's body.

    Raises:
        Refusal: 400, it is not JSON.
    """

    def no_number(text: str) -> Json:
        raise ValueError(text)

    try:
        # Python's parser takes NaN and Infinity, which JSON does not have.
        value: Json = json.loads(body, parse_constant=no_number)
    except (ValueError, RecursionError):
        raise Refusal(400, "INVALID_JSON", "The body is not valid JSON") from None
    return value


def json_response(value: object, status: int = 200) -> web.Response:
    """An answer with a JSON body."""
    return web.json_response(value, status=status)


def refusal_response(refusal: Refusal, *, retry_after: bool = False) -> web.Response:
    """A refusal as an answer. The vendor documents no form; this is one that clients have to understand."""
    errors = [{"msg": message, "code": refusal.code} for message in refusal.messages]
    response = json_response({"errors": errors}, refusal.status)
    if retry_after and refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response
