"""`ModelDeployment`, as a program declares it."""

import asyncio
import copy
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NoReturn, NotRequired, TypedDict

import pulumi
from pulumi.dynamic import Resource

from .api.declared import UNKNOWN
from .core.faults import DeclarationFault, listing
from .core.spec import RESULTS, ProgramSpec, check, python_spelling
from .host.program import follow_the_engine
from .provider import ModelDeploymentProvider


class HyperParameters(TypedDict):
    """How the deployed model generates text. Each value may be an output of another resource.

    Keys: `temperature` (0–2), `max_tokens` (0–512), `top_p` (0–1), `top_k` (1–100), and optionally `stop_sequence`.
    """

    temperature: pulumi.Input[float]
    max_tokens: pulumi.Input[int]
    top_p: pulumi.Input[float]
    top_k: pulumi.Input[int]
    stop_sequence: NotRequired[pulumi.Input[Sequence[pulumi.Input[str]]]]


class ScalingParameters(TypedDict, total=False):
    """How the deployment grows and shrinks. Each key is optional, each value may be an output of another resource.

    Keys: `max_batch_size` (1–256), `min_replicas` (1–10, not more than `max_replicas`), `max_replicas` (1–50),
    `scale_up_delay` (1–1000) and `scale_down_delay` (50–2000); of the delays' unit the vendor's API page says
    milliseconds, the console's seconds.
    """

    max_batch_size: pulumi.Input[int]
    min_replicas: pulumi.Input[int]
    max_replicas: pulumi.Input[int]
    scale_up_delay: pulumi.Input[int]
    scale_down_delay: pulumi.Input[int]


class OptimizationInfo(TypedDict, total=False):
    """How the platform optimizes the model (platform-hosted models only).

    Keys: `optimization_type` (`ctranslate2`, `vllm`) and `quantization_type` (`no_quantization`, `int8_float16`; the
    latter needs an `optimization_type`).
    """

    optimization_type: pulumi.Input[str]
    quantization_type: pulumi.Input[str]


class ModelDeployment(Resource, module="koreai", name="ModelDeployment"):
    """The deployment of one model on the AI for Process platform.

    Its declared state is *deployed with these parameters* or *undeployed*. The platform has no call that reads a
    model's deployment: what is known of it is what the last dock job said.
    """

    if TYPE_CHECKING:  # the SDK would read them anew for each resource: a tenth of a program's time
        model_id: pulumi.Output[str]
        deployment_name: pulumi.Output[str]
        model_type: pulumi.Output[str]
        device_type: pulumi.Output[str]
        hyper_parameters: pulumi.Output[Mapping[str, float | list[str]]]
        scaling_parameters: pulumi.Output[Mapping[str, float] | None]
        optimization_info: pulumi.Output[Mapping[str, str] | None]
        deployed: pulumi.Output[bool]
        adopt: pulumi.Output[bool]
        update_strategy: pulumi.Output[str]
        custom_timeouts: pulumi.Output[Mapping[str, str] | None]
        state: pulumi.Output[str]
        """`deployed`, `undeployed`, `deploying`, `undeploying` or `failed`."""
        dock_status_id: pulumi.Output[str]
        """The last dock job, `ds-…`; "" when there was none."""
        last_action: pulumi.Output[str]
        """`DEPLOY` or `UNDEPLOY`; "" after a take-over."""
        last_status: pulumi.Output[str]
        """The last job's status; `UNKNOWN` when it can't be told, "" after a take-over."""
        last_job_seconds: pulumi.Output[float]
        """How long the last job took that was watched from its start to its end; 0 before the first."""

    def __init__(
        self,
        resource_name: str,
        *,
        model_id: pulumi.Input[str],
        deployment_name: pulumi.Input[str],
        device_type: pulumi.Input[str],
        hyper_parameters: pulumi.Input[HyperParameters | Mapping[str, pulumi.Input[object]]],
        model_type: pulumi.Input[str] = "openSource",
        scaling_parameters: pulumi.Input[ScalingParameters | Mapping[str, pulumi.Input[object]]] | None = None,
        optimization_info: pulumi.Input[OptimizationInfo | Mapping[str, pulumi.Input[object]]] | None = None,
        deployed: pulumi.Input[bool] = True,
        adopt: pulumi.Input[bool] = False,
        update_strategy: pulumi.Input[Literal["undeploy-first", "redeploy"] | str] = "undeploy-first",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the deployment.

        Args:
            resource_name: the resource's name in the stack.
            model_id: the model, `cm-…`. Another id is a replacement: the new model is deployed before the old one is
                undeployed.
            deployment_name: the deployment's name, one line.
            device_type: the hardware of each replica, such as `g5.xlarge`.
            hyper_parameters: see `HyperParameters`.
            model_type: `openSource` or `fineTune`.
            scaling_parameters: see `ScalingParameters`.
            optimization_info: see `OptimizationInfo`.
            deployed: False: the model is to be undeployed.
            adopt: take over, without a request, the deployment that is already running, as declared here.
            update_strategy: `undeploy-first`, or `redeploy` to deploy over the running one.
            opts: resource options; `custom_timeouts` bound each whole operation (defaults: 60 minutes for each
                deploy, 30 for each undeploy).

        Raises:
            pulumi.RunError: when the program is through, listing the faults of all the models that it declares.
        """
        arguments: dict[str, object] = {
            "model_id": model_id,
            "deployment_name": deployment_name,
            "model_type": model_type,
            "device_type": device_type,
            "hyper_parameters": hyper_parameters,
            "scaling_parameters": scaling_parameters,
            "optimization_info": optimization_info,
            "deployed": deployed,
            "adopt": adopt,
            "update_strategy": update_strategy,
            "custom_timeouts": _custom_timeouts(opts),
        }
        follow_the_engine()
        run = _runs.current()
        run.declare(resource_name, arguments)
        arguments["model_id"] = run.unless_faulty(model_id)
        super().__init__(
            ModelDeploymentProvider(), resource_name, {**arguments, **dict.fromkeys(RESULTS)}, _with_timeouts(opts)
        )


def _with_timeouts(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions | None:
    """The options with `custom_timeouts` as the SDK needs them: people write a dictionary too."""
    declared: object = opts.custom_timeouts if opts else None
    if opts is None or not isinstance(declared, Mapping):
        return opts
    known = {key: value for key, value in declared.items() if key in ("create", "update", "delete")}
    changed = copy.copy(opts)
    changed.custom_timeouts = pulumi.CustomTimeouts(**known)
    return changed


def _custom_timeouts(opts: pulumi.ResourceOptions | None) -> dict[str, object] | None:
    """The stock host does not pass the option on to a provider, so it travels among the inputs."""
    declared: object = opts.custom_timeouts if opts else None
    if not declared:
        return None
    if isinstance(declared, Mapping):  # a fault of it is reported with all the others
        return dict(declared)
    assert isinstance(declared, pulumi.CustomTimeouts)
    timeouts = {"create": declared.create, "update": declared.update, "delete": declared.delete}
    return {operation: timeout for operation, timeout in timeouts.items() if timeout is not None}


def refuse(message: str) -> NoReturn:
    """End the program, and register none of the models that it has declared: the SDK would, though the program failed.

    Raises:
        pulumi.RunError: always, with the message.
    """
    _runs.current().refuse(message)
    raise pulumi.RunError(message) from None


class _Run:
    """One run of a program, or of one of its unit tests, and the faults of all the models that it declares.

    The engine gives up at the first resource that fails its check. So what can be checked at once is checked when it is
    declared, and no model is registered before all of them have been: in Python the registrations begin when the
    program has run through.
    """

    def __init__(self, task: "asyncio.Task[object] | None") -> None:
        self._task = weakref.ref(task) if task else None
        self._registers = False
        self._faults: list[tuple[str | None, DeclarationFault]] = []
        self._refused: list[str] = []

    def goes_on(self, task: "asyncio.Task[object] | None") -> bool:
        """Whether what is declared now, in that task, belongs to this run.

        The SDK runs a program, and each test under `pulumi.runtime.test`, in a task that ends with its last
        registration; what the program declares in an `apply` is in another task of the same loop. Without a loop that
        runs there is no task: such a run ends when its registrations begin.
        """
        if self._task is None or task is None:
            return self._task is None and task is None and not self._registers
        own = self._task()
        return own is not None and not own.done() and own.get_loop() is task.get_loop()

    def declare(self, name: str, arguments: Mapping[str, object]) -> None:
        declared = {key: _known(value) for key, value in arguments.items() if value is not None}
        _, faults = check(ProgramSpec, declared, python_spelling)
        self._faults += [(name, fault) for fault in faults]

    def refuse(self, message: str) -> None:
        self._refused.append(message)

    async def unless_faulty(self, value: object) -> object:
        """The value, when the program has run through: the event loop begins with the registrations then.

        Raises:
            pulumi.RunError: the run has faults.
        """
        self._registers = True
        faults = [listing("the models declared", self._faults)] if self._faults else []
        if self._refused or faults:
            raise pulumi.RunError("\n".join([*self._refused, *faults]))
        return value


class _Runs(threading.local):
    """The last run of this thread: inline programs of the Automation API share the process."""

    _last: _Run | None = None

    def current(self) -> _Run:
        """The run that what is declared now belongs to."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # no event loop runs
            task = None
        if self._last is None or not self._last.goes_on(task):
            self._last = _Run(task)
        return self._last


_runs: Final = _Runs()


def _known(value: object) -> object:
    """A declared value with `UNKNOWN` for whatever will be known later."""
    if isinstance(value, Mapping):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_known(item) for item in value]
    if isinstance(value, pulumi.Output) or asyncio.isfuture(value) or asyncio.iscoroutine(value):
        return UNKNOWN
    return value
