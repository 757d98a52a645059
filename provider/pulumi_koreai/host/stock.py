"""The stock host (`python -m pulumi.dynamic`) and exceptions whose message is all that there is to say."""

import sys
import traceback

from .contract import PartialFailure
from .errors import describe

_STOCK_HOST = "pulumi.dynamic.__main__"


def tell_without_traceback(*kinds: type[BaseException]) -> None:
    """Where this process is the stock host: show the user the message alone of exceptions of these kinds.

    Newer SDKs answer the engine with the traceback of whatever a provider raises (`_abort_with_traceback` in
    pulumi/dynamic/__main__.py), and a provider has no other way to say that it failed.
    """
    main = sys.modules["__main__"]
    if getattr(main.__spec__, "name", None) == _STOCK_HOST and getattr(main, "traceback", None) is traceback:
        vars(main)["traceback"] = _Traceback((*kinds, PartialFailure))


class _Traceback:
    """The module `traceback`, but for exceptions of some kinds."""

    def __init__(self, kinds: tuple[type[BaseException], ...]) -> None:
        self._kinds = kinds

    def format_exc(self) -> str:
        error = sys.exception()
        return describe(error) if isinstance(error, self._kinds) else traceback.format_exc()

    def __getattr__(self, name: str) -> object:
        return getattr(traceback, name)
