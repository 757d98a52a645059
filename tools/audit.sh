#!/bin/sh
# Looks up every package of requirements.lock, whatever the platform it is for, among the known vulnerabilities: with
# pip-audit, which lives in a scratch folder and is no part of the project, at api.osv.dev, or at OSV_URL where that is set.
#
# Exit status: 0 nothing is known against any of them; 1 something is, and is shown; 2 they could not all be looked up.
set -eu
cd "$(dirname "$0")/.."

not_known() {
    echo "audit: $*" >&2
    echo "audit: the packages could not be looked up: whether one is vulnerable is not known." >&2
    exit 2
}

python=${PYTHON:-python3}
scratch=$(mktemp -d) || not_known "there is no room for a scratch folder."
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
"$python" -m venv "$scratch/venv" || not_known "$python can't make a virtual environment; name another one: PYTHON=…"
# Its version is pinned, what it needs is not: locked with the rest it would be in everybody's .venv.
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1 ||
    not_known "pip-audit could not be installed, see pip's words above."

# pip-audit leaves out what is not for the platform it runs on, so the markers go; and it takes a package once in a file, so
# the second version of one, for another Python, goes into a second file.
mkdir "$scratch/pins"
sed -n 's/^\([^][ #]*\)[^ =]*==\([^ ;]*\).*/\1 \2/p' requirements.lock |
    awk -v folder="$scratch/pins" '{ print $1 "==" $2 >(folder "/" ++seen[$1] ".txt") }'
for pins in "$scratch"/pins/*.txt; do
    # Its own exit status tells neither a finding from a failure, nor all looked up from none.
    "$scratch/venv/bin/pip-audit" --requirement "$pins" --no-deps --disable-pip --progress-spinner off \
        --vulnerability-service osv --osv-url "${OSV_URL:-https://api.osv.dev/v1/query}" \
        --format json --output "${pins%.txt}.json" >"$scratch/said" 2>&1 || :
    [ -s "${pins%.txt}.json" ] || not_known "pip-audit gave up: $(tail -n 1 "$scratch/said")"
done

status=0
"$scratch/venv/bin/python" - "$scratch/pins" <<'PYTHON' || status=$?
import json
import sys
from pathlib import Path

pins = Path(sys.argv[1])
locked = {tuple(line.split("==")) for path in pins.glob("*.txt") for line in path.read_text().split()}
answers = [answer for path in pins.glob("*.json") for answer in json.loads(path.read_text())["dependencies"]]
looked_up = {(answer["name"], answer["version"]): answer["vulns"] for answer in answers if "version" in answer}
for (name, version), faults in sorted(looked_up.items()):
    for fault in faults:
        mended = ", ".join(fault["fix_versions"]) or "no version"
        print(f"{name} {version}: {' '.join([fault['id'], *fault['aliases']])}, mended in {mended}")
missed = sorted(locked - looked_up.keys())
for name, version in missed:
    print(f"{name} {version} could not be looked up.", file=sys.stderr)
if any(looked_up.values()):
    sys.exit(3)  # an error of this script's own is a 1
if missed or not locked:
    sys.exit(2)
print(f"nothing is known against any of the {len(locked)} packages of requirements.lock.")
PYTHON
case $status in
0) ;;
3) exit 1 ;;
*) not_known "see above." ;;
esac
