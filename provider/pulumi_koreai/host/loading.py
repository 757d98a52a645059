"""Imports, without looking for garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """For imports of large modules: they make very many objects, of which all stay.

    The collector would look through all of them several times, a third of the time that the imports take. What is
    there afterwards it never looks at again.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
