"""The dynamic provider as a program declares it and a state names it.

The module's and the class's names are part of the state's format: `destroy` and `refresh` find the class by what the
state holds. A program only declares it: what answers the engine's calls is imported with the first of them.
"""

from typing import TYPE_CHECKING

from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

if TYPE_CHECKING:
    from .adapter import EngineCalls, HostProcess

Properties = dict[str, object]


class ModelDeploymentProvider(ResourceProvider):
    """Holds nothing: its pickle is its name, the key and the host come from the configuration at run time."""

    serialize_as_secret_always = False
    # Of the class: a pickle of an earlier release makes an instance without calling `__init__`.
    _handed: "HostProcess | None" = None

    def __init__(self, process: "HostProcess | None" = None) -> None:
        self._handed = process

    def __reduce__(self) -> tuple[type["ModelDeploymentProvider"], tuple[()]]:
        return ModelDeploymentProvider, ()

    @property
    def _calls(self) -> "EngineCalls":
        from .adapter import EngineCalls, host_process  # noqa: PLC0415 - see above

        return EngineCalls(self._handed or host_process())

    def configure(self, req: ConfigureRequest) -> None:
        self._calls.configure(req)

    def check(self, _olds: Properties, news: Properties) -> CheckResult:
        return self._calls.check(_olds, news)

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        return self._calls.diff(_id, _olds, _news)

    def create(self, props: Properties) -> CreateResult:
        return self._calls.create(props)

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        return self._calls.update(_id, _olds, _news)

    def delete(self, _id: str, _props: Properties) -> None:
        self._calls.delete(_id, _props)

    def read(self, id_: str, props: Properties) -> ReadResult:
        return self._calls.read(id_, props)
