"""Whether the platform itself has said that a model, a job or a deployment is not there: the one place that judges it.

What is let go of rests on this, so it is the other way round than usual: what is not recognised as the platform's own
statement about the very thing that was asked for is none. Gateways, proxies and frameworks answer 404 for a route that
they have lost, and the same words stand in refusals that mean something else ("no deployment permission", "not deployed
on healthy nodes", "model not found or no access"). So a statement is a body in the platform's own form, each clause of
which is a whole one of the few below; a word more and it is in doubt. The vendor documents none of its words.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from pydantic import JsonValue


class Evidence(Enum):
    """What an answer is worth as evidence that something is not there."""

    CERTAIN = auto()
    """The platform says so, of what was asked for."""
    DOUBTFUL = auto()
    """It is in the platform's form and speaks of what was asked for, but it may mean something else."""
    FOREIGN = auto()
    """Nothing shows that the platform itself speaks, or that it speaks of what was asked for."""


# A statement is short: what is longer says more than that, and is read no further.
_STATEMENT_MAX_CHARS: Final = 300
_READ_MAX_CHARS: Final = 2_000
_STATEMENTS_MAX: Final = 4
_CODES: Final = frozenset({"code", "errorCode", "status", "statusCode"})
_CODE_MAX_CHARS: Final = 60
_CODE_WORD: Final = re.compile(
    r"e|err|error|failed|bad|request|invalid|state|no|not|such|found|exists?|does|is|unknown|already|resource|model|dock"
    r"|status|job|deployed|undeployed|deployment",
    re.IGNORECASE,
)
_OTHER_STATUS: Final = re.compile(r"401|403|407|429|5\d\d")

# The thing that was asked for, in the place of its id: no letter of a message.
_ID: Final = "\0"
_THE: Final = r"(?:the )?(?:requested |specified |given |provided )?"
_NAMED: Final = (
    rf"(?: (?:(?:with|for|of) )?(?:the )?(?:id )?{_ID}| (?:with|for) (?:the|this) (?:given |specified )?id)?"
)


def _subject(noun: str) -> str:
    return rf"(?:(?:{_THE}|this ){noun}(?: ?id)?{_NAMED}|{_ID})"


def _nowhere(noun: str) -> tuple[str, ...]:
    """The ways to say that there is no such thing."""
    it = _subject(noun)
    return (
        rf"{it} (?:(?:is|was|could|can) )?not (?:be )?found{_NAMED}",
        rf"{it} (?:does not exist|no longer exists)",
        rf"(?:there is )?no such {noun}{_NAMED}",
        rf"(?:there is )?no {noun} {_ID}",
        rf"(?:there is )?no {noun}{_NAMED} (?:(?:is|was|could be) )?(?:found|exists){_NAMED}",
        rf"(?:there is )?no {noun} with (?:the )?id {_ID}",
        rf"(?:could|can) not find {it}",
        rf"unknown {noun}(?: ?id)?(?: {_ID})?",
    )


_MODEL: Final = r"model"
_JOB: Final = r"(?:dock(?:[ -]?(?:status|job))?|(?:deploy |undeploy |deployment )?job)"
_IT: Final = _subject(_MODEL)
_OF_IT: Final = rf"(?: (?:found |exists |running )?(?:for|of) {_IT})"
_SOME: Final = r"(?:active |running |current |existing )?"
_LACKING: Final = (
    rf"{_IT} (?:is )?(?:currently )?not (?:currently )?deployed(?: currently| now| any ?more)?",
    rf"{_IT} is no longer deployed",
    rf"{_IT} is (?:currently )?undeployed",
    rf"(?:{_IT} )?(?:(?:is|was|has) )?already (?:been )?undeployed",
    rf"(?:there is |there are )?no {_SOME}deployments?{_OF_IT}",
    rf"{_IT} (?:has no|does not have (?:an|any)) {_SOME}deployments?",
    rf"can not undeploy {_IT} (?:as|because|since) (?:it|the model) is not (?:currently )?deployed",
)
# What may stand beside a statement and adds nothing.
_BESIDE: Final = (
    rf"error|bad request|not found|nothing to undeploy|(?:undeploy failed|can not undeploy(?: {_IT})?)|{_IT}"
)


def _one_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_NO_MODEL: Final = _one_of(_nowhere(_MODEL))
_NO_JOB: Final = _one_of(_nowhere(_JOB))
_NOT_DEPLOYED: Final = _one_of(_LACKING)
_ANYTHING_BESIDE: Final = re.compile(_BESIDE)
_JOB_BESIDE: Final = re.compile(rf"error|bad request|not found|{_subject(_JOB)}")

_OF_MODELS: Final = re.compile(rf"\bmodel|\bundeploy|{_ID}")
_OF_JOBS: Final = re.compile(rf"\b(?:job|dock)|{_ID}")
_SEEMS_NOT_DEPLOYED: Final = re.compile(
    r"\bnot (?:\w+ ){0,2}deployed|(?<!be )\bundeployed|\bno (?:\w+ )?deployments?\b|\bnothing to undeploy"
    r"|\bready to deploy\b|\bmodel state\b|\bstate of the model\b"
)
_ANOTHER_SENSE: Final = re.compile(
    r"permi|access|role|scope|\bkey|author|allowed|quota|limit|polic|replica|node|health|later|\byet\b|licen[cs]e"
)


def of_no_model(answer: JsonValue, model_id: str) -> Evidence:
    """What a 404 is worth as the platform's word that it has no such model (for this key).

    Args:
        answer: its body.
        model_id: the model that was asked for.
    """
    return _judge(answer, model_id, _NO_MODEL, _ANYTHING_BESIDE, _OF_MODELS)


def of_no_job(answer: JsonValue, job_id: str) -> Evidence:
    """What a 404 is worth as the platform's word that it does not know a dock job (yet, or any more).

    Args:
        answer: its body.
        job_id: the job that was asked for.
    """
    return _judge(answer, job_id, _NO_JOB, _JOB_BESIDE, _OF_JOBS)


def of_not_deployed(answer: JsonValue, model_id: str) -> Evidence:
    """What the refusal of an undeploy is worth as the platform's word that the model is not deployed.

    `FOREIGN` stands for a plain refusal here: of something else, or for another reason.

    Args:
        answer: its body.
        model_id: the model that was to be undeployed.
    """
    evidence = _judge(answer, model_id, _NOT_DEPLOYED, _ANYTHING_BESIDE, _SEEMS_NOT_DEPLOYED)
    if evidence is Evidence.DOUBTFUL and any(_ANOTHER_SENSE.search(text.lower()) for text in _own_words(answer)):
        return Evidence.FOREIGN
    return evidence


def _judge(
    answer: JsonValue,
    subject_id: str,
    statement: re.Pattern[str],
    beside: re.Pattern[str],
    seeming: re.Pattern[str],
) -> Evidence:
    words = [_plain(text, subject_id) for text in _own_words(answer)]
    if not words:
        return Evidence.FOREIGN
    short = len(words) <= _STATEMENTS_MAX and all(len(text) <= _STATEMENT_MAX_CHARS for text in words)
    if short and not _codes_differ(answer):
        clauses = [clause for text in words for clause in _clauses(text)]
        stated = [bool(statement.fullmatch(clause)) for clause in clauses]
        if any(stated) and all(said or beside.fullmatch(clause) for said, clause in zip(stated, clauses, strict=True)):
            return Evidence.CERTAIN
    # An echoed path has the model's id, and the word, in it.
    spoken = [" ".join(word for word in text.split() if "/" not in word) for text in words]
    return Evidence.DOUBTFUL if any(map(seeming.search, spoken)) else Evidence.FOREIGN


def _own_words(answer: JsonValue) -> list[str]:
    """What is said in the platform's own form of an error; nothing where it is in another."""
    match answer:
        case {"errors": [*errors], **rest} if rest.keys() <= _CODES:
            own = [error for error in errors if isinstance(error, dict) and error.keys() <= {"msg", *_CODES}]
            said, complete = [error.get("msg") for error in own], len(own) == len(errors)
        case {"message": message, **rest} if rest.keys() <= _CODES:
            said, complete = [message], True
        case _:
            return []
    texts = [text[:_READ_MAX_CHARS] for text in said if isinstance(text, str)]
    return texts if complete and len(texts) == len(said) else []


def _codes_differ(answer: JsonValue) -> bool:
    """Whether a code beside the words stands for something else than they do."""
    return any(_differs(str(code)) for code in _codes(answer) if code is not None)


def _differs(code: str) -> bool:
    if code.isdecimal() or len(code) > _CODE_MAX_CHARS:
        return len(code) > _CODE_MAX_CHARS or bool(_OTHER_STATUS.fullmatch(code))
    words = re.split(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])", code)
    return not all(_CODE_WORD.fullmatch(word) for word in words if word)


def _codes(answer: JsonValue) -> Iterator[JsonValue]:
    if isinstance(answer, dict):
        yield from (value for name, value in answer.items() if name in _CODES)
        errors = answer.get("errors")
        for error in errors if isinstance(errors, list) else []:
            yield from _codes(error)


def _plain(text: str, subject_id: str) -> str:
    """A message without its quotes, brackets and contractions, and with one sign for the id of what was asked for."""
    text = text.replace(_ID, " ")
    if subject_id:
        text = re.sub(rf"(?<![\w./-]){re.escape(subject_id)}(?![\w/-]|\.\w)", _ID, text)
    text = re.sub(r"n['\u2019]t\b", " not", re.sub(r"[\"`()\[\]\u201c\u201d]", "", text.lower()))
    text = re.sub(r"\b(?:can ?|ca )not\b", "can not", re.sub(r"['\u2018\u2019]", "", text))
    return " ".join(text.replace("_", " ").split())


def _clauses(text: str) -> Iterator[str]:
    return filter(None, (clause.strip() for clause in re.split(r"[.;:,!]", text)))
