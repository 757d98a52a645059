"""Dynamic providers of every shape. Imported by the test, and by the hosts, which get them pickled by this name."""

import asyncio
import atexit
import importlib
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

from pulumi_koreai.host import Cancelled, DetailedDiff, PartialFailure, current_call

Props = dict[str, Any]
DEEP: Props = {
    "a": [1, {"b": None, "c": [True, "ü\n\U0001f600", []]}],
    "n": 1.5,
    "big": 2**53,
    "none": None,
    "empty": {},
}


def where_unknown(value: Any, path: str = "") -> list[str]:
    if isinstance(value, Unknown):
        return [path]
    if isinstance(value, dict):
        return [found for key in sorted(value) for found in where_unknown(value[key], f"{path}.{key}")]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in where_unknown(item, f"{path}[{index}]")]
    return []


class Plain(ResourceProvider):
    """Nothing but the required method; the rest is the SDK's."""

    def create(self, props: Props) -> CreateResult:
        return CreateResult("id", props)


class Full(ResourceProvider):
    """What it was asked with comes back in its answers."""

    def check(self, olds: Props, news: Props) -> CheckResult:
        failures = [CheckFailure(path, "unknown") for path in where_unknown(news)]
        return CheckResult({**news, "had": sorted(set(olds) - {"__provider"}), "types": types(news)}, failures)

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        return DiffResult(
            changes=news.get("changes"),
            replaces=where_unknown(news) or news.get("replaces"),
            stables=["a"],
            delete_before_replace=news.get("dbr"),
        )

    def create(self, props: Props) -> CreateResult:
        return CreateResult("the-id", {"types": types(props), **props, **DEEP})

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult({"id": id_, "olds": olds, **news})

    def read(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_ + "!", {**props, "read": True}, inputs={"x": 1} if props.get("with_inputs") else None)

    def delete(self, id_: str, props: Props) -> None:
        if props.get("fail"):
            raise RuntimeError(f"{id_} can't be deleted")


def types(props: Any) -> Any:
    if isinstance(props, dict):
        return {key: types(value) for key, value in sorted(props.items()) if key != "__provider"}
    if isinstance(props, list):
        return [types(value) for value in props]
    return type(props).__name__


class Odd(ResourceProvider):
    """Gives back whatever `odd` names."""

    def create(self, props: Props) -> Any:
        return ODD[props["odd"]]

    def update(self, id_: str, olds: Props, news: Props) -> Any:
        return ODD[news["odd"]]

    def read(self, id_: str, props: Props) -> Any:
        return ODD[props["odd"]]

    def check(self, olds: Props, news: Props) -> Any:
        return ODD[news["odd"]]

    def diff(self, id_: str, olds: Props, news: Props) -> Any:
        return ODD[news["odd"]]


ODD: dict[str, Any] = {
    "None": None,
    "create-none": CreateResult("id"),
    "create-number-id": CreateResult(5, {}),  # type: ignore[arg-type]
    "create-set": CreateResult("id", {"set": {1}}),
    "create-list": CreateResult("id", [1]),  # type: ignore[arg-type]
    "create-keys": CreateResult("id", {"a": {1: "x"}}),
    "create-asset": CreateResult("id", {"asset": pulumi.StringAsset("text"), "a": pulumi.FileArchive("/none")}),
    "update-none": UpdateResult(),
    "read-empty": ReadResult(),
    "read-gone": ReadResult("", {}),
    "read-none-id": ReadResult(None, {"a": 1}),
    "read-none-outs": ReadResult("id"),
    "check-empty": CheckResult({}, []),
    "check-none-failures": CheckResult({}, None),  # type: ignore[arg-type]
    "diff-empty": DiffResult(),
    "diff-no": DiffResult(False, [], [], False),
    "diff-yes": DiffResult(True, ["a"], ["b"], True),
    "diff-truthy": DiffResult(1),  # type: ignore[arg-type]
}


class SecretOut(ResourceProvider):
    def create(self, props: Props) -> CreateResult:
        async def later() -> str:
            await asyncio.sleep(0)
            return "later"

        return CreateResult("id", {"later": later(), **props})


class Configured(ResourceProvider):
    """What it was configured with."""

    count = 0

    def configure(self, req: ConfigureRequest) -> None:
        type(self).count += 1
        self.seen = {key: req.config.get(key) for key in ("mine", "other:key", "missing", "number")}
        self.config = req.config

    def create(self, props: Props) -> CreateResult:
        if key := props.get("require"):
            self.config.require(key)
        return CreateResult("id", {**self.seen, "count": self.count})


class Unconfigurable(Plain):
    def configure(self, req: ConfigureRequest) -> None:
        raise ValueError("no key is set")


class Failing(ResourceProvider):
    """Each way to fail, by the name of a method."""

    def create(self, props: Props) -> Any:
        return getattr(self, props.get("how", "plain"))()

    def update(self, id_: str, olds: Props, news: Props) -> Any:
        self.plain()

    def read(self, id_: str, props: Props) -> Any:
        self.plain()

    def check(self, olds: Props, news: Props) -> Any:
        self.plain()

    def diff(self, id_: str, olds: Props, news: Props) -> Any:
        self.plain()

    def delete(self, id_: str, props: Props) -> None:
        self.plain()

    def plain(self) -> None:
        raise RuntimeError("it failed")

    def cause(self) -> None:
        try:
            try:
                raise OSError("no route to host")
            except OSError as error:
                raise ConnectionError("can't reach the platform") from error
        except ConnectionError as error:
            raise RuntimeError("the deploy was not sent\nlook at the console") from error

    def context(self) -> None:
        try:
            raise ValueError("secret-value")
        except ValueError:
            raise RuntimeError("clean")  # noqa: B904 - that is the point

    def repeated(self) -> None:
        try:
            raise OSError("no route")
        except OSError as error:
            raise RuntimeError(f"not sent: {error}") from error

    def noted(self) -> None:
        failure = RuntimeError("failed")
        failure.add_note("try again")
        raise failure

    def group(self) -> None:
        raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])

    def slip(self) -> Any:
        return dict[str, int]()["nothing"]

    def leave(self) -> None:
        sys.exit("gone")

    def long(self) -> None:
        raise RuntimeError("x" * 50_000)

    def surrogate(self) -> None:
        raise RuntimeError("half \ud800 a pair")

    def silent(self) -> None:
        raise NotImplementedError


class Slow(ResourceProvider):
    """Waits as the contract says: `seconds` in `create`, `update` and `read`."""

    def wait(self, props: Props) -> Props:
        call = current_call()
        started = time.monotonic()
        try:
            try:
                call.sleep(props.get("seconds", 0))
            except Exception:  # noqa: BLE001 - a poll's except must not swallow the end
                return {"swallowed": True}
        except Cancelled as cancelled:
            if "partial" in props:
                raise PartialFailure(
                    "job-1", {"text": "x" * int(props["partial"])}, ["job-1 is still running"]
                ) from cancelled
            if "says" in props:
                raise Cancelled(props["says"]) from None
            raise
        return {"waited": time.monotonic() - started, "cancelled": call.cancelled}

    def create(self, props: Props) -> CreateResult:
        return CreateResult("id", self.wait(props))

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(self.wait(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_, self.wait(props))

    def delete(self, id_: str, props: Props) -> None:
        self.wait(props)


class Deaf(ResourceProvider):
    """Waits without the contract, as providers do that know nothing of it."""

    def create(self, props: Props) -> CreateResult:
        time.sleep(props["seconds"])
        return CreateResult("id", {"waited": props["seconds"]})


class Call(ResourceProvider):
    """The call, as each method sees it."""

    def facts(self) -> dict[str, Any]:
        call = current_call()
        return {
            "hosted": call.hosted,
            "urn": call.urn,
            "name": call.name,
            "type": call.type,
            "timeout": call.timeout if call.timeout is not None else "none",
            "cancelled": call.cancelled,
        }

    def check(self, olds: Props, news: Props) -> CheckResult:
        return CheckResult(self.facts(), [])

    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        current_call().note(f"diff of {current_call().name}")
        return DiffResult(True, [str(self.facts()["urn"])])

    def create(self, props: Props) -> CreateResult:
        return CreateResult("id", self.facts())

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(self.facts())

    def read(self, id_: str, props: Props) -> ReadResult:
        return ReadResult(id_, self.facts())

    def delete(self, id_: str, props: Props) -> None:
        raise RuntimeError(repr(self.facts()))


class Talking(ResourceProvider):
    """Says what `lines` holds: pairs of a verb and a text; `sleep` takes seconds."""

    def create(self, props: Props) -> CreateResult:
        call = current_call()
        for verb, value in props["lines"]:
            getattr(call, verb)(value)
        return CreateResult("id", {})


class Printing(ResourceProvider):
    def create(self, props: Props) -> CreateResult:
        print("on stdout")
        sys.stdout.write("no end of line")
        print("on stderr", file=sys.stderr)
        return CreateResult("id", {})


class Partial(ResourceProvider):
    """Fails in part with what `id`, `outs` and `reasons` say."""

    def fail(self, props: Props) -> NoReturn:
        raise PartialFailure(props.get("id", "id"), props["outs"], props["reasons"], inputs=props.get("new_inputs"))

    def create(self, props: Props) -> CreateResult:
        if module := props.get("needs"):
            importlib.import_module(module)
        self.fail(props)

    def update(self, id_: str, olds: Props, news: Props) -> UpdateResult:
        self.fail(news)

    def read(self, id_: str, props: Props) -> ReadResult:
        self.fail(props)

    def delete(self, id_: str, props: Props) -> None:
        self.fail(props)


class Detailed(ResourceProvider):
    def diff(self, id_: str, olds: Props, news: Props) -> DiffResult:
        return DetailedDiff(
            news.get("changes"), detailed=news.get("detailed", {}), input_diff=news.get("input_diff", True)
        )


class Async(ResourceProvider):
    async def check(self, olds: Props, news: Props) -> CheckResult:  # type: ignore[override]
        return CheckResult({**news, "checked": current_call().name}, [])

    async def create(self, props: Props) -> CreateResult:  # type: ignore[override]
        if props.get("fail"):
            raise RuntimeError("it failed")
        await asyncio.sleep(props.get("seconds", 0))
        return CreateResult("id", {"ok": True})


class Leaving(ResourceProvider):
    """Writes to the file `path` when the process ends."""

    def create(self, props: Props) -> CreateResult:
        atexit.register(lambda: Path(props["path"]).write_text("left"))
        return CreateResult("id", {})


class Threads(ResourceProvider):
    def create(self, props: Props) -> CreateResult:
        return CreateResult("id", {"threads": threading.active_count(), "thread": threading.get_ident()})
