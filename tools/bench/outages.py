"""How long models are without callers when all of them are updated at once, on a simulated clock.

The lifecycle, the client and its pacing are the real ones, and the platform is the emulator's.
"""

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from random import Random
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from bench.turns import TurnClock
from pulumi_koreai.api.client import Client
from pulumi_koreai.api.declared import DeployRequest
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.base.progress import Silent
from pulumi_koreai.core.lifecycle import Lifecycle
from pulumi_koreai.core.rules import Goal, ModelState, Record
from pulumi_koreai.emulator.platform import EmulatedPlatform, EmulatorSettings, Refusal, random_ids

# Seconds of the undeploy's job and of the deploy's.
JOBS: Final = ((60.0, 600.0), (5.0, 60.0))
RATIO_MAX: Final = 1.1

_PER_MINUTE: Final = 60
_PARAMETERS: Final = {
    "deployment_name": "chat",
    "device_type": "g5.xlarge",
    "hyper_parameters": {"temperature": 0.5, "max_tokens": 256, "top_p": 1.0, "top_k": 50},
}


@dataclass(frozen=True)
class Outages:
    """What the updates did to the callers.

    Attributes:
        undeploy_seconds: what each undeploy's job takes.
        deploy_seconds: what each deploy's job takes.
        ratios: of each model: the time from the undeploy's acceptance to the end of the deploy's job, over the two
            jobs' own time.
        seconds: from the first request to the end of the last job.
        refused: answers of 429.
    """

    undeploy_seconds: float
    deploy_seconds: float
    ratios: list[float]
    seconds: float
    refused: int

    @property
    def mean(self) -> float:
        return statistics.fmean(self.ratios)


class _Wire(HTTPAdapter):
    """Ends in the emulator's platform, without a socket."""

    def __init__(self, platform: EmulatedPlatform, refusals: list[int]) -> None:
        super().__init__()
        self._platform, self._refusals = platform, refusals

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        url = urlsplit(str(request.url))
        *_rest, subject, last = url.path.split("/")
        try:
            if request.method == "GET":
                job = self._platform.dock_status(last)
            elif last == "deploy":
                body = json.loads(request.body or b"null")
                job = self._platform.deploy("account", subject, parse_qs(url.query)["modelType"][0], body)
            else:
                job = self._platform.undeploy("account", subject)
        except Refusal as refusal:
            self._refusals.append(refusal.status)
            return self._answer(request, refusal.status, {"message": refusal.messages[0]})
        return self._answer(
            request,
            200,
            {"dockStatusId": job.id, "status": job.status, "percentageComplete": self._platform.percent(job)},
        )

    def _answer(self, request: requests.PreparedRequest, status: int, body: object) -> requests.Response:
        raw = HTTPResponse(BytesIO(json.dumps(body).encode()), {}, status, preload_content=False)
        return self.build_response(request, raw)


def simulate_updates(count: int, undeploy_seconds: float, deploy_seconds: float) -> Outages:
    """Update so many models at once, each by an undeploy and a deploy, under the published limits."""
    clock, refusals = TurnClock(), list[int]()
    emulated = EmulatorSettings(deploy_seconds, undeploy_seconds, requests_per_minute=_PER_MINUTE)
    platform = EmulatedPlatform(emulated, clock.monotonic, random_ids(1))

    def session(_: Settings) -> requests.Session:
        opened = requests.Session()
        opened.mount("http://", _Wire(platform, refusals))
        return opened

    client = Client(Settings("http://127.0.0.1", "key", _PER_MINUTE), clock, Random(1), Silent(), session)  # noqa: S311
    request = DeployRequest.model_validate(_PARAMETERS)
    before = Record(ModelState.DEPLOYED, request.model_copy(update={"deployment_name": "before"}))

    def update(model_id: str) -> Callable[[], None]:
        lifecycle = Lifecycle(client, model_id, before, clock=clock, rng=Random(model_id), reporter=Silent())  # noqa: S311
        return lambda: lifecycle.reach(Goal(request))

    models = [f"cm-{number}" for number in range(count)]
    for model_id in models:
        platform.set_model(model_id, state="Deployed")
    clock.run([update(model_id) for model_id in models])
    began: dict[str, float] = {}
    ended: dict[str, float] = {}
    for job in platform.jobs():
        if job.action == "UNDEPLOY":
            began[job.model_id] = job.started
        else:
            ended[job.model_id] = job.started + job.seconds
    ideal = undeploy_seconds + deploy_seconds
    ratios = [(ended[model_id] - began[model_id]) / ideal for model_id in models]
    return Outages(undeploy_seconds, deploy_seconds, ratios, max(ended.values()), refusals.count(429))
