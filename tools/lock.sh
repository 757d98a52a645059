#!/bin/sh
# Writes requirements.lock: everything (runtime, extras, development, build) for every platform and Python 3.11 and later,
# with hashes. And what of it `koreai init` writes, see tools/runtime_lock.py. uv resolves; it lives in a scratch folder and is no part of the project.
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

[ -n "${UPGRADE:-}" ] || cp requirements.lock "$scratch/requirements.lock"
"$scratch/bin/uv" pip compile pyproject.toml --quiet --no-config \
    --universal --python-version 3.11 --all-extras --group dev --no-strip-extras \
    --generate-hashes --custom-compile-command "make lock" --output-file "$scratch/requirements.lock"
if grep -nE '://|--index|--find-links|@ file' "$scratch/requirements.lock" >&2; then
    echo "requirements.lock was left as it was: the new one names an address or a folder, see above." >&2
    exit 1
fi
cp "$scratch/requirements.lock" requirements.lock
.venv/bin/python tools/runtime_lock.py
