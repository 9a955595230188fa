"""Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019) of one's own corpus: lossless, no unknown words."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tokenizers as hf
from pydantic import BaseModel, ConfigDict, Field

from arasuji.errors import OptionError
from arasuji.tokenizers._checked import check, check_ids, door
from arasuji.tokenizers._fast import FastTokenizer

END, PAD = "<|endoftext|>", "<|pad|>"
"""The special tokens, as the tokenizer's file names them."""


class Config(BaseModel):
    """Options of the tokenizer `bpe`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    size: int = Field(8192, ge=300, le=2**22)
    """Tokens in the vocabulary: 256 bytes, the end, the pad, and merges learnt from the training split."""


class Bpe(FastTokenizer):
    """See `Tokenizer`."""

    def __init__(self, fast: hf.Tokenizer) -> None:
        super().__init__(fast)
        self.vocabulary_size = fast.get_vocab_size()
        vocabulary = fast.get_vocab()
        self.end_id, self.pad_id = vocabulary[END], vocabulary[PAD]

    def save(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text(self.fast.to_str(pretty=True), "utf-8")
        names = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": END, "bos_token": END, "pad_token": PAD}
        inputs = {"model_input_names": ["input_ids", "attention_mask"]}  # else version 4 adds token types for GPT-2
        text = json.dumps(names | inputs, indent=1) + "\n"  # with this, AutoTokenizer opens the folder too
        (folder / "tokenizer_config.json").write_text(text, "utf-8")


def build(config: Config, texts: Iterable[str], base: Path | None = None) -> Bpe:
    """Learn the merges from the texts."""
    if base is not None:
        raise OptionError("the tokenizer 'bpe' is made from the corpus; a base brings its own: say 'pretrained'")
    inner = hf.Tokenizer(hf.models.BPE())
    inner.pre_tokenizer = hf.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = hf.decoders.ByteLevel()
    trainer: Any = hf.trainers.BpeTrainer(
        vocab_size=config.size,
        min_frequency=2,
        special_tokens=[END, PAD],
        initial_alphabet=hf.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return Bpe(inner)


def load(folder: Path) -> Bpe:
    """Read back what `save` wrote."""
    with door(folder):
        check(folder / "tokenizer.json")
        made = Bpe(hf.Tokenizer.from_file(str(folder / "tokenizer.json")))
        check_ids(list(made.fast.get_vocab().values()), made.vocabulary_size, [made.end_id, made.pad_id])
        return made
