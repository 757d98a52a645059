"""What `make demo` says where it can't do its job."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.engine.workspace import ROOT


@pytest.mark.engine
@pytest.mark.usefixtures("real_engine")
def test_a_clone_without_the_example_is_told_so_in_one_message(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    for name in ("Pulumi.yaml", "__main__.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    ended = subprocess.run(
        [sys.executable, tmp_path / "tools" / "demo.py"], env=os.environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr == "\nThe demo failed: stacks/Pulumi.dev.yaml is missing; the demo works on a copy of it.\n"
