"""JSON in and out."""

import json

from aiohttp import web

from .deploy_body import Json
from .platform import Refusal


def parsed(body: bytes) -> Json:
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


def answered(value: object, status: int = 200) -> web.Response:
    """An answer with a JSON body."""
    return web.json_response(value, status=status)


def refused(refusal: Refusal, *, retry_after: bool = False) -> web.Response:
    """A refusal as an answer. The vendor documents no form; this is one that clients have to understand."""
    errors = [{"msg": message, "code": refusal.code} for message in refusal.messages]
    response = answered({"errors": errors}, refusal.status)
    if retry_after and refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    return response
