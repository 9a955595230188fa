"""The one file of other packages is what the lock file builds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
PAGE = Path("src/arasuji/studio/page")


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_the_vendor_file_is_built_from_the_lock_file(tmp_path):
    shutil.copytree(WEB, tmp_path / "web", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / PAGE).mkdir(parents=True)
    subprocess.run(["npm", "ci", "--no-fund", "--no-audit", "--loglevel=error"], cwd=tmp_path / "web", check=True)
    subprocess.run(["npm", "run", "--silent", "build"], cwd=tmp_path / "web", check=True)
    for name in ("vendor.js", "vendor.LICENSES.txt"):
        assert (tmp_path / PAGE / name).read_bytes() == (WEB.parent / PAGE / name).read_bytes()
