"""The starter corpus, prepared once."""

from __future__ import annotations

from importlib import resources

import pytest

from arasuji.corpus import prepare


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "starter"
    with resources.as_file(resources.files("arasuji.data") / "starter.jsonl") as source:
        prepare([source], folder)
    return folder
