#!/bin/sh
# Makes .venv with everything requirements.lock names and the project itself, editable. Nothing to do takes milliseconds.
#
# A set-up that was cut short is begun again: .venv/.ready is written last, and a .venv without it is thrown away.
# PYTHON=/path/to/python chooses the interpreter.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "set-up failed: $*" >&2
    exit 1
}

sum() { cksum <"$1" | tr -d ' '; }

# The folder is part of it because scripts in a venv hold its absolute path: a moved or copied clone needs its own.
locked() { echo "locked $(sum requirements.lock) in $PWD"; }
ready() { locked && echo "project $(sum pyproject.toml)"; }

works() { .venv/bin/python -c '' 2>/dev/null; } # no longer so when the Python below it was removed
is_ready() { works && [ "$(cat .venv/.ready 2>/dev/null)" = "$(ready)" ]; }

is_ready && exit 0

# One set-up at a time in one clone. The link's target is the owner's process id, so a killed owner's link is seen as stale.
waited=
until ln -s "$$" .venv.lock 2>/dev/null; do
    owner=$(readlink .venv.lock 2>/dev/null) || continue
    if kill -0 "$owner" 2>/dev/null; then
        [ -n "$waited" ] || echo "waiting for another set-up of this clone (process $owner) ..." >&2
        waited=yes
        sleep 1
    else
        rm -f .venv.lock
    fi
done
trap 'rm -f .venv.lock' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
is_ready && exit 0

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    without_venv=
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
    else
        set -- python3.14 python3.13 python3.12 python3.11 python3
    fi
    for python; do
        usable "$python" || continue
        if has_venv "$python"; then return 0; fi
        without_venv=${without_venv:-$python}
    done
    if [ -n "$without_venv" ]; then
        fail "$without_venv comes without its venv and ensurepip modules." \
            "On Debian and Ubuntu: apt install python3-venv. Or name another Python: make PYTHON=/path/to/python3"
    elif [ -n "${PYTHON:-}" ]; then
        fail "PYTHON=$PYTHON is not a Python 3.11 or later that runs."
    fi
    fail "no Python 3.11 or later on the PATH (tried python3.14 to python3.11 and python3)." \
        "Install one, or name it: make PYTHON=/path/to/python3"
}

pip() {
    # Settings that a user may have for the machine and that have no place in a venv of its own.
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip "$@"
}

if works && [ "$(head -n 1 .venv/.ready 2>/dev/null)" = "$(locked)" ]; then
    rm .venv/.ready
else
    find_python
    echo "setting up .venv with $("$python" --version) (a minute or so) ..." >&2
    rm -rf .venv
    "$python" -m venv .venv || fail "\"$python -m venv .venv\" failed, see above."
    pip install --quiet --require-hashes -r requirements.lock ||
        fail "the locked packages could not be installed, see pip's words above. Nothing is left half done: run it again."
fi
pip install --quiet --no-build-isolation --no-deps --editable . || fail "the project could not be installed, see pip's words above."
# Written beside and renamed: a full disk or a kill leaves no half-written stamp.
ready >.venv/.ready.new
mv .venv/.ready.new .venv/.ready
