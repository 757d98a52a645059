"""The vendor's public API as a local, stateful HTTP server: to try things on, and to test against.

From the shell: `koreai emulator --help`. In a test: the context manager `Emulator`. Needs the extra
`emulator` (aiohttp).

    platform      the models, jobs and rate limits as a state machine, with the clock handed in
    deploy_body   what a deploy's body may hold
    store         the models and jobs on disk
    console       the platform and the record of requests, from any thread
    faults        what can go wrong, as data, and which request it strikes
    injector      carries the faults out
    routes        the vendor's routes
    responses     the bodies of answers
    inputs        what is handed in from outside
    server        HTTP: the keys, the spellings, the seam for a hook of one's own; `Emulator`
    serving       the server as a process
    control, page the control plane under `/emulator/` and the page at `/`
"""

from importlib.util import find_spec

# Without aiohttp, `koreai emulator` can still say what to install.
if find_spec("aiohttp"):
    from .faults import KINDS, Script, ScriptedFault
    from .platform import Fail
    from .server import Emulator, Options

    __all__ = ["KINDS", "Emulator", "Fail", "Options", "Script", "ScriptedFault"]
