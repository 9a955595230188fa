"""A small run, and the folder that transformers opens."""

from __future__ import annotations

import pytest
from shaped_models import SMALL

from arasuji import api

MINI = (*SMALL, "layers=2", "heads=2", "width=32", "context_length=256")


@pytest.fixture(scope="session")
def mini(corpus, tmp_path_factory):
    """A run of gpt2-mini with opinions. Not to be changed."""
    return api.train("gpt2-mini", corpus, tmp_path_factory.mktemp("runs") / "mini", max_steps=6, settings=MINI)


@pytest.fixture(scope="session")
def exported(mini, tmp_path_factory):
    """The folder that transformers opens, and its card. Not to be changed."""
    folder = tmp_path_factory.mktemp("exports") / "mini"
    return folder, api.export(mini, folder)
