#!/bin/sh
# Writes two locks, each for every platform and Python 3.11 and later, with hashes: requirements.lock has the newest of
# everything (runtime, extras, development, build); requirements-oldest.lock the oldest versions that pyproject.toml
# allows of what is needed at run time, extras included. And the part of the first that `koreai init` pins, see
# tools/runtime_lock.py. uv resolves; it lives in a scratch folder and is no part of the project.
#
# With the extras of what is pinned: without them an older pip takes `coverage[toml]`, say, for another package, and would
# have the newest.
#
# What is pinned stays as it is where it still fits; UPGRADE=1 takes the newest of everything.
set -eu
cd "$(dirname "$0")/.."
sh tools/setup.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
.venv/bin/python -m venv "$scratch"
"$scratch/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.9

# resolve LOCK OPTION...: into the scratch folder.
resolve() {
    lock=$1
    shift
    [ -n "${UPGRADE:-}" ] || [ ! -e "$lock" ] || cp "$lock" "$scratch/$lock"
    "$scratch/bin/uv" pip compile pyproject.toml --quiet --no-config \
        --universal --python-version 3.11 --all-extras --no-strip-extras "$@" \
        --generate-hashes --custom-compile-command "make lock" --output-file "$scratch/$lock"
    if grep -nE '://|--index|--find-links|@ file' "$scratch/$lock" >&2; then
        echo "The locks were left as they were: the new $lock names an address or a folder, see above." >&2
        exit 1
    fi
}

resolve requirements.lock --group dev
resolve requirements-oldest.lock --resolution lowest-direct
cp "$scratch/requirements.lock" "$scratch/requirements-oldest.lock" .
.venv/bin/python tools/runtime_lock.py
