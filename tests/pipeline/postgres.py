"""A PostgreSQL server of the tests' own, on a free port of this machine."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PASSWORD: Final = "password-of-these-tests-7d02"
"""It is not in the URL: see docs/teams.md."""

_START_SECONDS: Final = 60.0
_MISSING: Final = (
    "PostgreSQL's server is not on this machine: `initdb` and `postgres` are neither on the PATH nor in"
    " /usr/lib/postgresql/*/bin. The tests of a shared state need them. Install it (Debian, Ubuntu: apt install"
    " postgresql; macOS: brew install postgresql)."
)


def _programs() -> Path:
    """The folder of the server's programs: Debian's newest, as those on its PATH may be wrappers, else the PATH's."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    if found is None:
        raise RuntimeError(_MISSING)
    return Path(found).parent


def _user() -> str | None:
    """Whom the server runs as: it refuses root. None: as we do."""
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("PostgreSQL's server refuses to run as root, and this machine has no user postgres or nobody.")


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run a server; gives the URL of an empty database, in the form that the engine takes. PGPASSWORD goes with it.

    Raises:
        RuntimeError: there is none on this machine, or it does not start; the message says what is missing.
    """
    programs, user = _programs(), _user()
    # Not a folder of pytest's: those are closed to other users.
    with tempfile.TemporaryDirectory(prefix="koreai-postgres-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        (folder / "password").write_text(PASSWORD)
        with (folder / "log").open("w+") as log, socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
            options = ["--no-sync", "--auth=scram-sha-256", "--username=team", f"--pwfile={folder / 'password'}"]
            subprocess.run(
                [programs / "initdb", *options, "--pgdata", folder / "data"],
                user=user,
                extra_groups=[] if user else None,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=True,
            )
        with (folder / "log").open("a+") as log:
            settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
            options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
            process = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *options],
                user=user,
                extra_groups=[] if user else None,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                _wait(programs, port, process, folder / "log")
                yield f"postgres://team@127.0.0.1:{port}/postgres?sslmode=disable"
            finally:
                process.terminate()  # SIGTERM: when the sessions have ended; SIGINT would end them
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait(programs: Path, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    ready = [str(programs / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
    while subprocess.run(ready, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL's server did not start:\n{log.read_text()}")
        time.sleep(0.05)
