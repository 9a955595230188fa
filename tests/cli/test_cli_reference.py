"""docs/cli.md is what `--help` says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "terminal",
    [{"COLUMNS": "40", "TERM": "dumb", "NO_COLOR": "1"}, {"COLUMNS": "200", "TERM": "xterm", "FORCE_COLOR": "1"}],
    ids=["narrow and plain", "wide and coloured"],
)
def test_the_reference_is_up_to_date_whatever_the_terminal(tmp_path, terminal):
    script = shutil.copy(DOCS / "cli.py", tmp_path)
    subprocess.run([sys.executable, script], env={**os.environ, **terminal}, check=True)
    made, kept = ((folder / "cli.md").read_text("utf-8") for folder in (tmp_path, DOCS))
    assert made == kept, "docs/cli.md is out of date: run `make docs`"


@pytest.mark.parametrize("verb", ["", "prepare", "generate", "models", "models get"])
def test_the_reference_holds_the_help_that_a_terminal_of_80_columns_shows(verb):
    words = [sys.executable, "-m", "arasuji", *verb.split(), "--help"]
    done = subprocess.run(words, env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, check=True)
    assert f"```text\n{done.stdout.strip()}\n```\n" in (DOCS / "cli.md").read_text("utf-8")
