"""The platform as a state machine: models, their dock jobs and the rate limits.

No HTTP, no threads, no time of its own: the clock and the source of ids are handed in, so the same calls at the same
instants give the same answers. The state is in plain dataclasses. Across threads, a `Console` keeps the lock.

Sources: the vendor's pages *Deploy a Model API*, *Undeploy a Model API*, *Export a Model API*, *Get Dock Status
API* (AI for Process, APIs) and its article *Understanding Rate Limits for Kore.ai Public API's*.
"""

import math
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal, TypedDict, Unpack

from .deploy_body import Json, faults

Action = Literal["DEPLOY", "UNDEPLOY", "EXPORT"]
Status = Literal["IN_PROGRESS", "SUCCESS", "FAILED"]
EmulatedState = Literal["Never Deployed", "Ready to Deploy", "Deploying", "Deployed", "Failed"]
"""What the console shows. "Never Deployed" stands for a model whose first deployment was not made in the console."""

Shape = Literal[
    "response.message",
    "response.error",
    "response.errors",
    "response.nested",
    "response.text",
    "response.html",
    "message",
    "errors",
    "statusMessage",
    "failureReason",
    "none",
]
"""Where in its answer a job tells why it failed. The vendor documents no form."""

MODEL_TYPES: Final = ("openSource", "fineTune")
NEVER_SECONDS: Final = 1e9
"""The duration of a job that never ends: thirty years."""
RATE_LIMIT_MESSAGE: Final = "Rate limit for this API has been reached. Please try again later"


class Refusal(Exception):
    """The platform does not take a request.

    Attributes:
        status: the HTTP status.
        code: the error's code in the answer.
        messages: what is wrong, one or more.
        retry_after: whole seconds after which the same request is taken; None when waiting does not help.
    """

    def __init__(self, status: int, code: str, *messages: str, retry_after: int | None = None) -> None:
        super().__init__(status, code, *messages)
        self.status, self.code, self.messages, self.retry_after = status, code, messages, retry_after


@dataclass(frozen=True)
class EmulatorSettings:
    """How the platform behaves.

    Attributes:
        job_seconds: how long a deploy or an export takes, 0 or more.
        undeploy_seconds: how long an undeploy takes; 0 ends it in its first answer, as on the vendor's page.
        models: the ids that exist; None: each that starts with `cm-`, save those that start with `cm-unknown`.
        failures: models whose deploys always fail: id to reason.
        requests_per_minute: how many fit in a 60 s window, 1 or more; 30 times as many in one of 3,600 s. None: no
            limits.
    """

    job_seconds: float = 5.0
    undeploy_seconds: float = 1.0
    models: frozenset[str] | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    requests_per_minute: int | None = 60


@dataclass
class Deployment:
    """One deployment of a model.

    Attributes:
        name: as in the console's history: the sent one, with `_v1`, `_v2`, … from the model's second on.
        model_type: `openSource` or `fineTune`.
        body: the deploy call's body as it was sent.
    """

    name: str
    model_type: str
    body: dict[str, Json]


@dataclass
class Fail:
    """The jobs that will end FAILED, by their reasons.

    Attributes:
        deploy: the reason, None for a deploy that succeeds.
        undeploy: likewise.
        once: each applies to the next such job only.
    """

    deploy: str | None = None
    undeploy: str | None = None
    once: bool = False


@dataclass
class Oddity:
    """What is odd about one job.

    Attributes:
        not_found_looks: how many looks at it still find no such job.
        not_found_seconds: how old it is before it is found.
        seconds: how long it takes, `NEVER_SECONDS` for one that never ends; None: as without the oddity.
        backwards: its percentage falls instead of rising.
        reason: it fails with this; None: as it would without the oddity.
        shape: how its answer tells the reason.
        end_status: the word for its end, in the place of `SUCCESS` or `FAILED`; None: those.
    """

    not_found_looks: int = 0
    not_found_seconds: float = 0.0
    seconds: float | None = None
    backwards: bool = False
    reason: str | None = None
    shape: Shape = "response.message"
    end_status: str | None = None


@dataclass
class Model:
    """A model.

    Attributes:
        deployment: what serves now. It stays while a redeploy runs, and when one fails.
        history: every deployment that came up, oldest first.
        job_id: the job under way, None when there is none.
        job_seconds: the duration of its deploys and exports, None for the platform's.
        undeploy_seconds: likewise of its undeploys.
        exists: False once it is deleted.
        oddity: what will be odd about its next job.
    """

    id: str
    state: EmulatedState = "Ready to Deploy"
    deployment: Deployment | None = None
    history: list[Deployment] = field(default_factory=list)
    job_id: str | None = None
    job_seconds: float | None = None
    undeploy_seconds: float | None = None
    fail: Fail = field(default_factory=Fail)
    exists: bool = True
    oddity: Oddity | None = None


@dataclass
class EmulatedJob:
    """A dock job.

    Attributes:
        started: the instant at which the platform took it, in seconds of its clock.
        seconds: how long it takes.
        reason: why it fails; None for one that succeeds. Known from the start, told at the end.
        deployment: what a deploy brings up.
        oddity: what is odd about it.
    """

    id: str
    model_id: str
    action: Action
    started: float
    seconds: float
    status: Status = "IN_PROGRESS"
    reason: str | None = None
    deployment: Deployment | None = None
    oddity: Oddity = field(default_factory=Oddity)


class Changes(TypedDict, total=False):
    """What can be set on a model from outside; what is left out stays."""

    state: EmulatedState
    deployment: dict[str, Json]
    job_seconds: float
    undeploy_seconds: float
    fail: Fail


def random_ids(seed: int | None = None) -> Callable[[], str]:
    """A source of ids in the vendor's form, the same ones for the same `seed`."""
    random = Random(seed)  # noqa: S311 - ids to tell jobs apart, no secrets
    return lambda: str(uuid.UUID(int=random.getrandbits(128), version=5))


class RateLimits:
    """Sliding windows of 60 s and 3,600 s for each key. A refused request takes no place in them."""

    def __init__(self, requests_per_minute: int | None) -> None:
        n = requests_per_minute
        self._windows = () if n is None else ((n, 60.0), (30 * n, 3600.0))
        self._taken: dict[str, deque[float]] = {}

    def take(self, key: str, now: float) -> None:
        """Count a request at the instant `now`.

        Raises:
            Refusal: 429, the windows are full.
        """
        if not self._windows:
            return
        taken = self._taken.setdefault(key, deque(maxlen=self._windows[-1][0]))
        wait = max((taken[-size] + seconds - now for size, seconds in self._windows if len(taken) >= size), default=0.0)
        if wait > 0:
            raise Refusal(429, "RATE_LIMIT_REACHED", RATE_LIMIT_MESSAGE, retry_after=math.ceil(wait))
        taken.append(now)


class EmulatedPlatform:
    """The models and jobs of one environment.

    Args:
        settings: how it behaves.
        now: a monotonic clock, in seconds. Every call sees what has happened until then.
        new_id: a new id at each call, without its `ds-`.
    """

    def __init__(self, settings: EmulatorSettings, now: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._settings, self._now, self._new_id = settings, now, new_id
        self.reset()

    def reset(self) -> None:
        """Back to the beginning: no job, nothing deployed, the windows empty."""
        self._models: dict[str, Model] = {}
        self._jobs: dict[str, EmulatedJob] = {}
        self._limits = RateLimits(self._settings.requests_per_minute)
        for model_id in sorted(self._settings.models or ()):
            self._created(model_id)

    def contents(self) -> tuple[list[Model], list[EmulatedJob]]:
        """Every model, those that were deleted included, and every job, as `restore` takes them."""
        return list(self._models.values()), list(self._jobs.values())

    def restore(self, models: Iterable[Model], jobs: Iterable[EmulatedJob]) -> None:
        """Have these models and jobs beside those of the settings; of two with one id these count."""
        self._models.update((model.id, model) for model in models)
        self._jobs.update((job.id, job) for job in jobs)

    # The public API. `account` is whose rate limit counts.

    def deploy(self, account: str, model_id: str, model_type: str | None, body: Json) -> EmulatedJob:
        """Begin a deploy; over a running deployment too, which serves on until the job has succeeded."""
        self._limits.take(account, self._now())
        model = self.model(model_id)
        wrong = [] if model_type in MODEL_TYPES else [f"modelType must be one of {', '.join(MODEL_TYPES)}"]
        wrong += faults(body)
        if wrong or model_type is None or not isinstance(body, dict):
            raise Refusal(400, "INVALID_PARAMETER", *wrong)
        if model.state == "Never Deployed":
            raise Refusal(
                400,
                "FIRST_DEPLOYMENT_IN_CONSOLE",
                f"Model {model_id} was never deployed. Make its first deployment in the console",
            )
        self._refuse_busy(model)
        deployment = Deployment(str(body["name"]), model_type, body)
        job = self._start(model, "DEPLOY", model.fail.deploy, deployment)
        if job.status == "IN_PROGRESS":
            model.state = "Deploying"
        return job

    def undeploy(self, account: str, model_id: str) -> EmulatedJob:
        """Begin an undeploy. What is deployed serves until the job has succeeded, then it is cut off at once."""
        self._limits.take(account, self._now())
        model = self.model(model_id)
        self._refuse_busy(model)
        if model.deployment is None:
            raise Refusal(400, "MODEL_NOT_DEPLOYED", "Model is not deployed")
        return self._start(model, "UNDEPLOY", model.fail.undeploy)

    def export(self, account: str, model_id: str) -> EmulatedJob:
        """Begin an export."""
        self._limits.take(account, self._now())
        model = self.model(model_id)
        self._refuse_busy(model)
        return self._start(model, "EXPORT", None)

    def dock_status(self, job_id: str) -> EmulatedJob:
        """A job as it is now. Its own rate limit counts."""
        job = self._jobs.get(job_id)
        if job is None:
            raise Refusal(404, "DOCK_STATUS_NOT_FOUND", f"No dock status {job_id}")
        self._limits.take(job_id, self._now())
        self._settle(job)
        hidden = job.oddity.not_found_looks > 0
        job.oddity.not_found_looks -= hidden
        if hidden or self._now() < job.started + job.oddity.not_found_seconds:
            raise Refusal(404, "DOCK_STATUS_NOT_FOUND", f"No dock status {job_id}")
        return job

    def percent(self, job: EmulatedJob) -> int:
        """How much of a job is done, 0–100; 100 only for one that has succeeded."""
        if job.status == "SUCCESS":
            return 100
        elapsed = self._now() - job.started
        percent = min(99, int(100 * elapsed / job.seconds)) if job.seconds > 0 else 99
        return 99 - percent if job.oddity.backwards else percent

    # What is seen and done in the console.

    def model(self, model_id: str) -> Model:
        """A model as it is now.

        Raises:
            Refusal: 404, there is none.
        """
        model = self._models.get(model_id)
        anything_goes = self._settings.models is None and model_id.startswith("cm-")
        if model is None and anything_goes and not model_id.startswith("cm-unknown"):
            model = self._created(model_id)
        if model is None or not model.exists:
            raise Refusal(404, "MODEL_NOT_FOUND", f"Model {model_id} not found")
        if model.job_id is not None:
            self._settle(self._jobs[model.job_id])
        return model

    def models(self) -> list[Model]:
        """The models that were named so far, by id."""
        return [self.model(key) for key, model in sorted(self._models.items()) if model.exists]

    def jobs(self) -> list[EmulatedJob]:
        """All jobs, oldest first."""
        for job in self._jobs.values():
            self._settle(job)
        return list(self._jobs.values())

    def job(self, job_id: str) -> EmulatedJob | None:
        """A job as it is now, an odd one that no look finds included; None when there is none. No limit counts."""
        job = self._jobs.get(job_id)
        if job is not None:
            self._settle(job)
        return job

    def set_model(self, model_id: str, **changes: Unpack[Changes]) -> Model:
        """Change a model by hand, or make a new one. A job under way goes on, and its end has the last word.

        A `deployment` makes the model "Deployed" unless the `state` "Failed" is given with it. The state "Deployed"
        alone keeps what is deployed, or stands for a deployment named `console`.

        Raises:
            Refusal: 400, a deployment for a state that has none.
        """
        body, state = changes.get("deployment"), changes.get("state")
        undeployed = state in ("Never Deployed", "Ready to Deploy")
        if undeployed and body is not None:
            raise Refusal(400, "INVALID_PARAMETER", f'A model in the state "{state}" has no deployment')
        try:
            model = self.model(model_id)
        except Refusal:
            model = self._created(model_id)
        if state == "Deployed" and body is None and model.deployment is None:
            body = {"name": "console"}
        if body is not None:
            self._bring_up(model, Deployment(str(body["name"]), MODEL_TYPES[0], body))
        if undeployed:
            model.deployment = None
        model.state = state or model.state
        model.job_seconds = changes.get("job_seconds", model.job_seconds)
        model.undeploy_seconds = changes.get("undeploy_seconds", model.undeploy_seconds)
        model.fail = changes.get("fail", model.fail)
        return model

    def delete_model(self, model_id: str) -> None:
        """Delete a model with its deployment. A job under way fails."""
        model = self.model(model_id)
        if model.job_id is not None:
            job = self._jobs[model.job_id]
            job.reason = "The model was deleted"
            self._end(job)
        self._models[model_id] = Model(model_id, exists=False)

    def _created(self, model_id: str) -> Model:
        model = Model(model_id, fail=Fail(deploy=self._settings.failures.get(model_id)))
        self._models[model_id] = model
        return model

    def _refuse_busy(self, model: Model) -> None:
        if model.job_id is not None:
            raise Refusal(409, "JOB_IN_PROGRESS", f"Another job is running on model {model.id}")

    def _start(
        self, model: Model, action: Action, reason: str | None, deployment: Deployment | None = None
    ) -> EmulatedJob:
        own, usual = (
            (model.undeploy_seconds, self._settings.undeploy_seconds)
            if action == "UNDEPLOY"
            else (model.job_seconds, self._settings.job_seconds)
        )
        oddity, model.oddity = model.oddity or Oddity(), None
        seconds = next(length for length in (oddity.seconds, own, usual) if length is not None)
        job = EmulatedJob(
            f"ds-{self._new_id()}",
            model.id,
            action,
            self._now(),
            seconds,
            "IN_PROGRESS",
            reason if oddity.reason is None else oddity.reason,
            deployment,
            oddity,
        )
        self._jobs[job.id] = job
        model.job_id = job.id
        if reason is not None and model.fail.once:
            model.fail = Fail(
                None if action == "DEPLOY" else model.fail.deploy,
                None if action == "UNDEPLOY" else model.fail.undeploy,
                once=True,
            )
        self._settle(job)
        return job

    def _settle(self, job: EmulatedJob) -> None:
        if job.status == "IN_PROGRESS" and self._now() >= job.started + job.seconds:
            self._end(job)

    def _end(self, job: EmulatedJob) -> None:
        model = self._models[job.model_id]
        model.job_id = None
        job.status = "SUCCESS" if job.reason is None else "FAILED"
        if job.deployment is not None:
            if job.reason is None:
                self._bring_up(model, job.deployment)
            else:
                model.state = "Failed"
        elif job.action == "UNDEPLOY" and job.reason is None:
            model.deployment, model.state = None, "Ready to Deploy"

    def _bring_up(self, model: Model, deployment: Deployment) -> None:
        if model.history:
            deployment.name += f"_v{len(model.history)}"
        model.history.append(deployment)
        model.deployment, model.state = deployment, "Deployed"
