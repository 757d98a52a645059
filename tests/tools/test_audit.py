"""`tools/audit.sh` with a pip-audit made of a small script: that its exit status says what is known."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

Answers = dict[str, dict[str, Any] | str]
"""What pip-audit says of a package, other than that nothing is known; `!`: it gives up."""

LOCK = """
one==1.0 \\
    --hash=sha256:00
    # via three
two==2.0 ; sys_platform == 'win32' \\
    --hash=sha256:00
three==3.0 ; python_full_version < '3.12' \\
    --hash=sha256:00
three==3.1 ; python_full_version >= '3.12' \\
    --hash=sha256:00
"""

# Makes a virtual environment with a pip that ends with PIP_STATUS and a pip-audit that answers what ANSWERS has.
PYTHON = f"""#!/bin/sh
mkdir -p "$3/bin"
cat >"$3/bin/python" <<'END'
#!/bin/sh
case "$*" in "-m pip "*) echo "$*" >pip-was-given; exit $PIP_STATUS ;; esac
exec {sys.executable} "$@"
END
cat >"$3/bin/pip-audit" <<'END'
#!{sys.executable}
import json, os, sys
given = dict(zip(sys.argv, sys.argv[1:]))
answers = json.loads(os.environ["ANSWERS"])
pins = open(given["--requirement"]).read().split()
if "!" in answers:
    sys.exit(answers["!"])
found = [dict(zip(("name", "version"), pin.split("=="))) | answers.get(pin, {{"vulns": []}}) for pin in pins]
found = [{{"name": one["name"], "skip_reason": ""}} if "skip_reason" in one else one for one in found]
json.dump({{"dependencies": found}}, open(given["--output"], "w"))
END
chmod +x "$3"/bin/*
"""


@dataclass
class Audit:
    folder: Path

    def run(self, answers: Answers | None = None, *, pip_status: int = 0) -> tuple[int, str]:
        """The exit status and the output."""
        ended = subprocess.run(
            ["sh", "tools/audit.sh"],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHON": str(self.folder / "python"),
                "TMPDIR": str(self.folder / "tmp"),
                "PIP_STATUS": str(pip_status),
                "ANSWERS": json.dumps(answers or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert list((self.folder / "tmp").iterdir()) == [], "the scratch folder is gone"
        return ended.returncode, ended.stdout


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    for name in "tools", "tmp":
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "tools" / "audit.sh", tmp_path / "tools")
    (tmp_path / "requirements.lock").write_text(LOCK)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return Audit(tmp_path)


def vulnerable(*fix_versions: str) -> dict[str, Any]:
    return {"vulns": [{"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": list(fix_versions)}]}


def test_every_version_of_every_platform_is_looked_up(audit: Audit) -> None:
    assert audit.run() == (0, "nothing is known against any of the 4 packages of requirements.lock.\n")


@pytest.mark.parametrize("pin", ["one==1.0", "two==2.0", "three==3.0", "three==3.1"])
def test_what_is_known_is_told_and_ends_with_1(audit: Audit, pin: str) -> None:
    status, output = audit.run({pin: vulnerable("9.1", "9.2")})
    assert (status, output) == (1, f"{pin.replace('==', ' ')}: GHSA-1 CVE-1, mended in 9.1, 9.2\n")


def test_what_is_mended_nowhere_is_told_too(audit: Audit) -> None:
    assert audit.run({"one==1.0": vulnerable()}) == (1, "one 1.0: GHSA-1 CVE-1, mended in no version\n")


@pytest.mark.parametrize(
    "pip_status, answers, told",
    [
        (0, {"!": "ConnectionError: no route"}, "pip-audit gave up: ConnectionError: no route"),
        (0, {"two==2.0": {"skip_reason": ""}}, "two 2.0 could not be looked up."),
        (0, {"two==2.0": {"vulns": [{}]}}, "KeyError"),
        (1, {}, "pip-audit could not be installed"),
    ],
    ids=["no service", "a package skipped", "an answer of another shape", "no pip-audit"],
)
def test_what_can_not_be_looked_up_ends_with_2(audit: Audit, pip_status: int, answers: Answers, told: str) -> None:
    status, output = audit.run(answers, pip_status=pip_status)
    assert status == 2
    assert told in output
    assert "whether one is vulnerable is not known" in output


def test_it_is_a_version_of_pip_audit_s_that_was_seen(audit: Audit) -> None:
    audit.run()
    given = (audit.folder / "pip-was-given").read_text().split()
    assert [word for word in given if re.fullmatch(r"pip-audit==[0-9.]+", word)], given


def test_the_real_lock_is_read_whole(audit: Audit) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    (audit.folder / "requirements.lock").write_text(lock)
    locked = len(re.findall(r"^\S+==", lock, re.MULTILINE))
    assert f"any of the {locked} packages" in audit.run()[1]
