"""`import arasuji` is all that a notebook needs, and takes no time until something is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import arasuji
from arasuji import api

ROOT = Path(__file__).parents[1]
QUICK = """
import sys, arasuji
assert {"train", "generate", "__version__"} <= set(dir(arasuji))
slow = {"torch", "transformers", "polars", "pydantic"} & set(sys.modules)
assert not slow, slow
"""
STARRED = """
from arasuji import *
import arasuji, arasuji.api
assert all(globals()[name] is getattr(arasuji.api, name) is getattr(arasuji, name) for name in arasuji.__all__)
"""
TYPED = """
import arasuji
from arasuji import Corpus, load
reveal_type(load)
corpus: Corpus = arasuji.prepare("a.csv", "b")
arasuji.no_such_name
"""


def test_the_package_offers_what_api_offers() -> None:
    assert arasuji.__all__ == api.__all__
    assert set(api.__all__) <= set(dir(arasuji))
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        _ = arasuji.no_such_name


@pytest.mark.parametrize("code", [QUICK, STARRED], ids=["quick", "starred"])
def test_imported_in_a_new_process_it_is_quick_and_can_be_starred(code: str) -> None:
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_type_checker_knows_what_the_package_offers(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", str(tmp_path / "mine.py")]  # with the options and the cache of `make test`
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=250, check=False).stdout
    assert 'Revealed type is "def (name: ' in found
    errors = [line.partition("error: ")[2] for line in found.splitlines() if "error:" in line]
    assert errors == ['Module has no attribute "no_such_name"  [attr-defined]']
