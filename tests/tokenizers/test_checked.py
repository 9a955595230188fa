"""What a tokenizer of a stranger may not do, and that the tokenizers of well-known models do none of it."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf

from arasuji.errors import BaseModelError
from arasuji.tokenizers._checked import check, check_made
from arasuji.tokenizers._fast import FastTokenizer


def written(folder: Path, **entries: Any) -> Path:
    """A tokenizer.json with these entries."""
    path = folder / "tokenizer.json"
    model = {"type": "BPE", "vocab": {"a": 0}, "merges": []} | entries.pop("model", {})
    path.write_text(json.dumps({"model": model, "added_tokens": []} | entries))
    return path


def table(*put_in: bytes) -> str:
    return base64.b64encode(struct.pack("<I", 4) + bytes(4) + b"".join(text + b"\0" for text in put_in)).decode()


def several(name: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", name: list(parts)}


REPLACE = {"type": "Replace", "pattern": {"String": ""}, "content": "a"}


@pytest.mark.parametrize(
    ("hint", "entries"),
    [
        ("longer and longer", {"normalizer": several("normalizers", *[REPLACE] * 3)}),
        ("longer and longer", {"normalizer": several("normalizers", *[{"type": "ByteLevel"}] * 3)}),
        ("longer and longer", {"pre_tokenizer": several("pretokenizers", *[{"type": "ByteLevel"}] * 3)}),
        ("puts in", {"normalizer": {"type": "Precompiled", "precompiled_charsmap": table(b"a", b"b" * 65)}}),
        ("strips", {"decoder": {"type": "Strip", "content": "a", "start": 10**18, "stop": 0}}),
        ("prefix", {"model": {"continuing_subword_prefix": "x" * 100}}),
        ("suffix", {"model": {"end_of_word_suffix": "x" * 100}}),
        ("letters", {"model": {"type": "WordPiece", "max_input_chars_per_word": 10**18}}),
        ("20,000 tokens", {"added_tokens": [{}] * 20_000}),
    ],
)
def test_a_tokenizer_that_takes_all_time_or_memory_is_refused(tmp_path, hint, entries):
    with pytest.raises(ValueError, match=hint):
        check(written(tmp_path, **entries))


@pytest.mark.parametrize(
    "entries",
    [
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": table("ﷺ".encode() * 11)}},
        {
            "normalizer": several(
                "normalizers", {"type": "Prepend", "prepend": "▁"}, REPLACE | {"pattern": {"String": " "}}
            )
        },
        {"decoder": {"type": "Strip", "content": " ", "start": 1, "stop": 0}},
        {"model": {"type": "WordPiece", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}},
    ],
)
def test_what_usual_tokenizers_do_is_allowed(tmp_path, entries):
    check(written(tmp_path, **entries))


def test_a_tokenizer_that_something_else_has_made_is_checked_too():
    made = hf.Tokenizer(hf.models.BPE())
    made.pre_tokenizer = hf.pre_tokenizers.ByteLevel()
    check_made(made)
    made.pre_tokenizer = hf.pre_tokenizers.Split(hf.Regex("(a|aa|a?a)+$"), "isolated")
    with pytest.raises(ValueError, match="unknown pattern"):
        check_made(made)


@pytest.mark.parametrize(
    "name", ["GPT2", "GPTNeoX", "Qwen2", "Qwen3_5", "Gemma", "Llama", "Cohere", "Roberta", "XLMRoberta"]
)
def test_the_tokenizers_of_known_models_are_allowed(name):
    """As transformers makes them. Those of Llama 3, SmolLM2 and OLMo 2 come from files with the same patterns."""
    import transformers

    check_made(getattr(transformers, f"{name}Tokenizer")().backend_tokenizer)


def test_a_decoder_that_panics_is_one_line():
    fast = hf.Tokenizer(hf.models.BPE({"a": 0}, []))
    fast.decoder = hf.decoders.Strip("a", 5, 5)

    class Stripped(FastTokenizer):
        def save(self, folder: Path) -> None: ...

    with pytest.raises(BaseModelError, match="fails at writing"):
        Stripped(fast).decode([0])
