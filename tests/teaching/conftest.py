"""A small teacher that was trained on the starter corpus."""

from __future__ import annotations

import pytest
from tiny_presets import small

from arasuji import api


@pytest.fixture(scope="session")
def teacher(corpus, tmp_path_factory):
    """The run of a small transformer. It often ends a text: otherwise its context would be too short for most."""
    out = tmp_path_factory.mktemp("teacher") / "run"
    list(api.train_events(small("gpt2-mini"), corpus, out, max_steps=3))
    return out
