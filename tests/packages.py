"""Packages that add something to arasuji, as `pip install` leaves them; and arasuji in a process that finds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def install(site: Path, name: str, modules: dict[str, str], entry_points: str) -> Path:
    """Write modules and the metadata of the package `name` into the folder `site`, which is returned."""
    info = site / f"{name.replace('-', '_')}-0.1.dist-info"
    info.mkdir(parents=True)
    for module, code in modules.items():
        (site / f"{module}.py").write_text(code, "utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(entry_points)
    return site


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object of --json, with nothing beside it on stdout."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The line that says what was wrong: one, the last on stderr, after progress at most, exit code 2."""
        assert self.code == 2, (self.code, self.err)
        lines = self.err.splitlines()
        assert [i for i, line in enumerate(lines) if line.startswith("error:")] == [len(lines) - 1], self.err
        assert "Traceback" not in self.err
        assert self.out == ""
        return lines[-1]


def arasuji(*arguments: object, site: Path | None = None) -> Outcome:
    """`python -m arasuji ARGUMENTS` in a process of its own, with a folder of installed packages."""
    return run("-m", "arasuji", *map(str, arguments), site=site)


def run(*words: str, site: Path | None = None) -> Outcome:
    """`python WORDS` in a process of its own, with a folder of installed packages."""
    path = os.pathsep.join(filter(None, [str(site or ""), os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, *words]
    environment = dict(os.environ, PYTHONPATH=path)
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=250, check=False)
    return Outcome(ended.returncode, ended.stdout, ended.stderr)
