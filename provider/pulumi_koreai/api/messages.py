"""What the platform says in words: found in a body of any shape, made fit for a terminal, and what it may mean.

The vendor documents neither its error bodies nor their words. What is guessed from them here decides about waiting and
advice; what lets go of something is judged in `evidence`.
"""

import re
from typing import Final

from pydantic import JsonValue

_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_HIDDEN = re.compile(r"<(script|style|head)\b", re.IGNORECASE)
_HIDDEN_ENDS: Final = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("script", "style", "head")}
_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_MESSAGE_MAX_CHARS: Final = 400
_MESSAGE_MAX_DEPTH: Final = 8
MESSAGE_KEYS: Final = (
    "msg",
    "message",
    "error",
    "errors",
    "errorMessage",
    "error_description",
    "reason",
    "failureReason",
    "statusMessage",
    "detail",
    "details",
    "description",
    "title",
)


def clean(text: str) -> str:
    """`text` of a foreign source, fit for a terminal: one line, nothing unprintable, at most 400 characters."""
    printable = "".join(letter if letter.isprintable() else " " for letter in _ESCAPE_SEQUENCE.sub(" ", text))
    line = " ".join(printable.split())
    return line if len(line) <= _MESSAGE_MAX_CHARS else line[: _MESSAGE_MAX_CHARS - 1] + "…"


def message_in(body: JsonValue) -> str:
    """What the platform says in `body`, whatever its shape; "" when it says nothing.

    The vendor does not document its error bodies: `{"errors":[{"msg":…}]}`, `{"message":…}`, plain text and HTML
    pages are all understood.
    """
    return clean(_find_message(body, _MESSAGE_MAX_DEPTH))


_ANOTHER_JOB = re.compile(
    r"\banother (job|(un)?deploy\w*|operation)\b"
    r"|\b(job|(un)?deploy\w*|operation)\b.{0,60}\b(running|in.progress|under way|ongoing)\b"
    r"|\bbeing (un)?deployed\b|\b(is|still|currently|already) (busy|(un)?deploying)\b",
    re.IGNORECASE,
)


def says_another_job(message: str) -> bool:
    """Whether the platform's message is that another job is under way on the model. Not documented either."""
    return bool(_ANOTHER_JOB.search(message))


_ALREADY_DEPLOYED = re.compile(
    r"\b(model|deployment)\b[^.;]{0,40}\bis already (running|deployed|active)\b|\bundeploy (it|this|the model) first\b",
    re.IGNORECASE,
)


def says_already_deployed(message: str) -> bool:
    """Whether the platform's message is that the model is deployed, and no job runs on it. Not documented either."""
    found = _ALREADY_DEPLOYED.search(message)
    return found is not None and not re.search(r"\b(job|operation|in.progress|deploying)\b", message, re.IGNORECASE)


def _find_message(body: JsonValue, depth: int) -> str:
    if depth == 0:
        return ""
    match body:
        case str():
            return _without_markup(body) if "<" in body else body
        case list():
            return "; ".join(filter(None, (_find_message(item, depth - 1) for item in body)))
        case dict():
            for key in MESSAGE_KEYS:
                if found := _find_message(body.get(key), depth - 1):
                    return found
            return ""
        case _:
            return ""


def _without_markup(page: str) -> str:
    """What a page shows. A name whose end was missed once is not looked for again: the time stays linear."""
    shown, at = list[str](), 0
    ends = dict(_HIDDEN_ENDS)
    for opening in _HIDDEN.finditer(page):
        name = opening[1].lower()
        if opening.start() < at or name not in ends:
            continue
        if end := ends[name].search(page, opening.end()):
            shown.append(page[at : opening.start()])
            at = end.end()
        else:
            del ends[name]
    return _TAG.sub(" ", " ".join([*shown, page[at:]]))
