"""Everything that can go wrong between this package and the platform.

    KoreaiError
    ├── ConfigError             the host or the key is missing or unusable; nothing was sent
    ├── ApiError                one request: method, path, HTTP status, the platform's message, a hint
    │   ├── NotSent             the request can't have reached the platform (connection refused, DNS, TLS)
    │   ├── OutageRefused       an undeploy, not sent: the deploy that is to follow would be refused
    │   ├── AnswerLost          it may have been taken: the connection broke, or timed out, before an answer
    │   ├── BadAnswer           an answer came that isn't the one of the contract
    │   ├── WrongJob            the answer is of another job than the one asked for
    │   └── Refused             an answer with an HTTP status that is not 2xx
    │       ├── Unauthorized    401
    │       ├── Forbidden       403
    │       ├── NotFound        404: the platform itself says that it has no such model or job
    │       ├── NotDeployed     an undeploy of a model that is not deployed, as the platform itself says
    │       ├── AbsenceInDoubt  the platform seems to say one of these two
    │       │   └── ForeignAnswer   404, and nothing shows that the platform itself answered
    │       ├── Busy            another job is under way on the model
    │       ├── RateLimited     429
    │       └── ServerError     5xx
    ├── JobError                one dock job: its id, action and last status
    │   ├── JobFailed           it ended FAILED; the platform's reason
    │   └── JobTimeout          it did not end in time (also a TimeoutError)
    │       └── JobStuck        nor the time before, in a status that is not known here
    └── ExportUnusable          a model's export that can't be fetched, or has nothing to make an entry of

Each carries its facts as fields and survives pickling. Its text says what was tried and what came back; what to do now
is its `advice`, for which each front end has its own words (`core/renderer.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, Self


class AdviceKind(Enum):
    """What there is to do about an error. In brackets: what the advice's `subject` is."""

    TRUST_CERTIFICATE = auto()
    CHECK_NETWORK = auto()
    CHECK_PLATFORM = auto()  # the host
    CHECK_SIGN_IN_PAGE = auto()
    CHECK_PROXY = auto()
    FOLLOW_REDIRECT = auto()  # where to
    NEW_KEY = auto()  # the host
    ADD_SCOPE = auto()  # what the key must be allowed to do
    WAIT_FOR_JOB = auto()
    UNKNOWN_JOB = auto()  # the host
    UNKNOWN_MODEL = auto()  # the host
    ABSENCE_IN_DOUBT = auto()
    KEY_UNPROVEN = auto()  # the host
    LET_GO = auto()  # the model
    LET_GO_OF_JOB = auto()  # the job
    SLOW_DOWN = auto()  # this process's own calls a minute
    DEPLOY_BY_HAND_FIRST = auto()
    ADOPT_OR_UNDEPLOY = auto()
    LOOK_AT_MODEL = auto()
    SETTLE_DEPLOY = auto()  # the model
    REPEAT_UNDEPLOY = auto()  # the model
    FIX_AND_DEPLOY_AGAIN = auto()
    FIX_AND_UNDEPLOY_AGAIN = auto()
    NOT_DEPLOYED_NOW = auto()
    MAY_STILL_SERVE = auto()
    JOB_GIVEN_UP = auto()  # the status that is not known
    RESUME_AND_RAISE_TIMEOUT = auto()
    RERUN_AND_RAISE_TIMEOUT = auto()
    RUN_AGAIN = auto()
    BRING_THE_OTHER_UP = auto()  # the model
    CONFIRM_DEPLOY = auto()  # the model
    KEY_CANT_DEPLOY = auto()
    EXPORT_BY_HAND = auto()  # the model


@dataclass(frozen=True)
class Advice:
    """What to do about an error.

    Attributes:
        kind: what.
        subject: what it is about, where the kind says so; "" otherwise.
    """

    kind: AdviceKind
    subject: str = ""


class KoreaiError(Exception):
    """The root: catch this to catch whatever this package raises on purpose.

    Attributes:
        advice: what to do now, in order; none where there is nothing better than the message.
    """

    advice: tuple[Advice, ...] = ()

    def advising(self, *advice: Advice) -> Self:
        """The same error with other advice, for a caller that knows more about what to do."""
        self.advice = advice
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions with keyword-only fields pickle only when the fields travel beside the message.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[KoreaiError], args: tuple[object, ...], fields: dict[str, object]) -> KoreaiError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class Remedy(Enum):
    """What the user does about a setting, where its problem does not say it already."""

    SET_HOST = "host"
    SET_KEY = "api_key"


@dataclass(frozen=True)
class SettingFault:
    """One setting that can't be used.

    Attributes:
        setting: the field of `Settings`.
        problem: what is wrong with it, without the setting's name; never a word of the key.
        remedy: what the user does about it; None where the problem says it.
    """

    setting: str
    problem: str
    remedy: Remedy | None = None


class ConfigError(KoreaiError):
    """The configuration can't be used. Raised before anything is sent.

    Attributes:
        faults: every setting that is missing or wrong.
    """

    def __init__(self, faults: Iterable[SettingFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{fault.setting}: {fault.problem}" for fault in self.faults))


class ApiError(KoreaiError):
    """A request that did not bring the answer of the contract.

    Attributes:
        method: the HTTP method.
        path: the path below the host, without the query.
        status: the HTTP status, 0 when no answer came.
        platform_message: what the platform said, cleaned of control characters; "" when it said nothing.
        retry_after: the seconds the platform asked to wait, None when it did not say.
    """

    transient: ClassVar[bool] = False
    """Whether the same request may well succeed a little later."""

    def __init__(
        self,
        what: str,
        *,
        method: str,
        path: str,
        status: int = 0,
        platform_message: str = "",
        advice: Advice | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.method, self.path, self.status = method, path, status
        self.platform_message, self.retry_after = platform_message, retry_after
        self.advice = () if advice is None else (advice,)
        said = f': "{platform_message}"' if platform_message else ""
        super().__init__(f"{method} {path}: {what}{said}")

    @property
    def may_be_taken(self) -> bool:
        """Whether the platform may be doing what was asked, for all that is known here."""
        return isinstance(self, (AnswerLost, BadAnswer, WrongJob)) or (
            isinstance(self, ServerError) and self.status != 503
        )

    @property
    def may_pass(self) -> bool:
        """Whether it may be an oddity of what lies between here and the platform, and over in a few minutes.

        A sign-in page, a token service that is away, a proxy that has lost its way: not to be waited for by itself.
        """
        return isinstance(self, WrongJob) or 300 <= self.status < 400 or self.status in (401, 404, 407)


class NotSent(ApiError):
    """The request can't have been taken: sending it again is safe, a deploy included."""

    transient = True


class OutageRefused(ApiError):
    """An undeploy that was not sent: the key may not deploy the model again, and nobody would serve its callers."""


class AnswerLost(ApiError):
    """The platform may or may not have taken the request."""

    transient = True


class BadAnswer(ApiError):
    """An answer with a good HTTP status that is not a dock job: a proxy's page, or a shape never seen."""

    transient = True


class WrongJob(ApiError):
    """A dock job of another id, model or action than the one asked for."""


class Refused(ApiError):
    """An answer with an HTTP status that is not 2xx."""


class Unauthorized(Refused):
    """401: the API key is not accepted."""


class Forbidden(Refused):
    """403: the API key lacks a scope."""


class NotFound(Refused):
    """404: the platform itself says that it has no such model, or no such job (yet), for this key."""


class NotDeployed(Refused):
    """The platform itself says that the model is not deployed: for who wants it undeployed, a success."""


class AbsenceInDoubt(Refused):
    """It may mean that there is no such model, job or deployment, or something else: nothing is concluded from it."""


class ForeignAnswer(AbsenceInDoubt):
    """404, and nothing shows that the platform itself answered: a gateway or proxy that has lost its way to it."""


class Busy(Refused):
    """The platform did not take the request, as it says that another job is under way on the model."""

    transient = True


class RateLimited(Refused):
    """429: the published rate limit, reached by this process or by another one of the same account."""

    transient = True


class ServerError(Refused):
    """5xx: the platform, or a proxy before it, could not answer."""

    transient = True


class JobError(KoreaiError):
    """A dock job that did not end well.

    Attributes:
        job_id: the dock job's id (`ds-…`).
        action: `DEPLOY` or `UNDEPLOY`.
        status: the status last seen.
    """

    def __init__(self, message: str, *, job_id: str, action: str, status: str) -> None:
        self.job_id, self.action, self.status = job_id, action, status
        super().__init__(message)


class JobFailed(JobError):
    """The job ended FAILED."""


class JobTimeout(JobError, TimeoutError):
    """The job had not ended when the time was up. It may still be running on the platform."""


class JobStuck(JobTimeout):
    """For a second time the job has not left a status that is not known here, which may well be its end."""


class ExportProblem(Enum):
    """What is wrong with an export; the value is the phrase for it. None has a word of the address: it is a secret."""

    NO_ADDRESS = "the job has ended well, and its answers have no address to download from"
    BAD_ADDRESS = "the address to download from is not used: it is not one of https, or leads to this machine"
    NOT_REACHED = "no connection to the address to download from"
    REFUSED = "the download was refused"
    REDIRECTED = "the download was redirected too often"
    BROKEN = "the download broke off"
    TOO_SLOW = "the download did not end in time"
    TOO_LARGE = "the download is too large"
    NOT_STORED = "the download can't be stored"
    NO_ARCHIVE = "what was downloaded is not a zip or tar archive that can be read"
    NO_CONFIG = "there is no `deployconfig.json` in the archive"
    SEVERAL_CONFIGS = "there are several different `deployconfig.json` in the archive"
    BAD_CONFIG = "the `deployconfig.json` in the archive can't be read as JSON"


class ExportUnusable(KoreaiError):
    """A model's export that can't be fetched, or has nothing to make an entry of.

    Attributes:
        model_id: the model.
        problem: what is wrong.
        detail: what more there is to say of it, "" for nothing.
    """

    def __init__(self, model_id: str, problem: ExportProblem, detail: str = "") -> None:
        self.model_id, self.problem, self.detail = model_id, problem, detail
        self.advice = (Advice(AdviceKind.EXPORT_BY_HAND, model_id),)
        super().__init__(f"export of {model_id}: {problem.value}" + (f" ({detail})" if detail else ""))
