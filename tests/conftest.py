"""What many tests share: our own starter texts, and one small model of every family."""

from __future__ import annotations

import datetime
import json
import os
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from arasuji import models, tokenizers
from arasuji.corpus import prepare

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime, which some tests import, would write a file

SMALL: dict[str, dict[str, Any]] = {
    "lstm": {"embedding": 24, "hidden": 32, "layers": 2, "dropout": 0.0},
    "mixture": {"embedding": 24, "hidden": 32, "layers": 2, "dropout": 0.0, "order": 4},
    "ngram": {"order": 4},
    "transformer": {"layers": 2, "heads": 2, "width": 32, "context_length": 64, "dropout": 0.0},
}
"""Options that make each family small; a new family is added here and meets every promise of the suite. A family of
another package is small by its defaults."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hard")
    group.addoption("--share", type=float, default=0.1, help="the share of the cases of tests/hard that is tried")
    group.addoption("--seed", default=datetime.date.today().isoformat(), help="draws the cases of tests/hard")
    group.addoption("--tally", type=Path, help="write what was tried by tests/hard into this file of JSON")


def pytest_report_header(config: pytest.Config) -> str:
    return f"tests/hard: --share {config.getoption('--share')} --seed {config.getoption('--seed')}"


@pytest.fixture(scope="session")
def starter_texts() -> list[str]:
    lines = (resources.files("arasuji.data") / "starter.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["synopsis"] for line in lines]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """The starter corpus, prepared once."""
    folder = tmp_path_factory.mktemp("corpus") / "starter"
    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as source:
        prepare([source], folder)
    return folder


@pytest.fixture(scope="session")
def bpe(starter_texts):
    kind = tokenizers.kind("bpe")
    return kind.build(kind.Config(size=400), starter_texts[:60])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright  # for a few tests

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not program:
        pytest.skip("no Chromium is installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=arguments)
        yield launched
        launched.close()


def small_model(family: str, tokenizer, **options):
    """A new small model, the same each time."""
    torch.manual_seed(0)
    module = models.family(family)
    return module.build(module.Config(**SMALL.get(family, {}) | options), tokenizer, None)
