"""The tokenizer that came with a pretrained model.

transformers opens it, which takes seconds to import; what `save` wrote is opened without.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tokenizers as hf
from pydantic import BaseModel, ConfigDict

from arasuji.bases.checked import check_architecture
from arasuji.errors import BaseModelError, OptionError
from arasuji.files import read_json
from arasuji.tokenizers._checked import check, check_ids, check_made, door
from arasuji.tokenizers._fast import FastTokenizer

ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>")
"""One of these stood between the documents that a model was pretrained on; the eos of a chat model ends a message and
not a text."""

FILE = "tokenizer.json"
"""The file that the tokenizers library reads."""
FACTS = "tokens.json"
"""The file that keeps what transformers has found out: start, end, pad, size, and the tokens that are never written."""


class Config(BaseModel):
    """Options of the tokenizer `pretrained`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    pad_token: str = ""
    """A token added as the pad, with a row of its own in the model; empty keeps what the tokenizer has."""


class Pretrained(FastTokenizer):
    """See `Tokenizer`. `inner` is a tokenizer of transformers, which is a wrapper of one of the tokenizers library."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner.backend_tokenizer)
        self.inner = inner
        vocabulary = inner.get_vocab()
        ends = [token for token in (*ENDS, inner.eos_token) if token in vocabulary]
        if len(vocabulary) <= len(inner.all_special_tokens):
            raise BaseModelError(f"{inner.name_or_path}: its tokenizer has no vocabulary; is a file missing?")
        if not ends:
            raise BaseModelError(f"{inner.name_or_path}: its tokenizer has no end-of-text token")
        self.end_id = vocabulary[ends[0]]
        self.pad_id = inner.pad_token_id if inner.pad_token_id is not None else self.end_id
        self.vocabulary_size = max(vocabulary.values()) + 1
        self.unsettled = _unsettled(self.fast)
        self._special = sorted(set(inner.all_special_ids) - {self.end_id})
        # Gemma and Llama have always read a token of their own before a text, and predict badly without it.
        with door(inner.name_or_path):
            told, bare = (self.fast.encode("a", add_special_tokens=special).ids for special in (True, False))
            self._start: int = told[0] if told[:1] != bare[:1] else self.end_id
            check_ids(list(vocabulary.values()), self.vocabulary_size, [self._start, self.pad_id, *self._special])

    @property
    def start_id(self) -> int:
        return self._start

    @property
    def never_written(self) -> list[int]:
        return self._special

    def save(self, folder: Path) -> None:
        try:
            self.inner.save_pretrained(folder)
        except OSError:
            raise
        except Exception as error:  # tokenizers raises a bare Exception for a full disk
            raise OSError(str(error)) from error
        if (folder / FILE).exists():
            names = ("start_id", "end_id", "pad_id", "vocabulary_size", "never_written")
            facts = {name: getattr(self, name) for name in names}
            (folder / FACTS).write_text(json.dumps(facts) + "\n", "utf-8")


class Saved(FastTokenizer):
    """What a `Pretrained` has saved, opened without transformers."""

    def __init__(self, folder: Path) -> None:
        facts = read_json(folder / FACTS)
        check(folder / FILE)
        super().__init__(hf.Tokenizer.from_file(str(folder / FILE)))
        self.end_id, self.pad_id, self.vocabulary_size = (facts[n] for n in ("end_id", "pad_id", "vocabulary_size"))
        self._special: list[int] = facts["never_written"]
        self._start: int = facts.get("start_id", self.end_id)
        self.folder = folder
        ids = list(self.fast.get_vocab().values())
        check_ids(ids, self.vocabulary_size, [self._start, self.end_id, self.pad_id, *self._special])
        self.unsettled = _unsettled(self.fast)

    @property
    def start_id(self) -> int:
        return self._start

    @property
    def never_written(self) -> list[int]:
        return self._special

    def save(self, folder: Path) -> None:
        Pretrained(_open(self.folder)).save(folder)


def build(config: Config, texts: Iterable[str], base: Path | None = None) -> Pretrained:
    """The tokenizer of `base`, with a pad of its own where asked for."""
    if base is None:
        raise OptionError("the tokenizer 'pretrained' needs a base: --set base=NAME or a folder")
    inner = _open(base)
    if config.pad_token:
        inner.add_special_tokens({"pad_token": config.pad_token})
    return Pretrained(inner)


def load(folder: Path) -> FastTokenizer:
    """Read back what `save` wrote, or what came with a pretrained model."""
    if not (folder / FACTS).exists():
        return Pretrained(_open(folder))
    with door(folder):
        return Saved(folder)


def _unsettled(fast: hf.Tokenizer) -> frozenset[int]:
    """The tokens `<0x00>` to `<0xFF>`, and the special ones: these are left out, so they do not end a run of bytes."""
    single_bytes = {i for byte in range(256) if (i := fast.token_to_id(f"<0x{byte:02X}>")) is not None}
    special = {i for i, token in fast.get_added_tokens_decoder().items() if token.special}
    return frozenset(single_bytes | special) if single_bytes else frozenset()


def _open(folder: Path) -> Any:
    from transformers import AutoTokenizer

    with door(folder):
        check_architecture(folder)
        if (folder / FILE).exists():
            check(folder / FILE)
        inner = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if not hasattr(inner, "backend_tokenizer"):
            raise BaseModelError(f"{folder}: its tokenizer has no {FILE}, and transformers cannot make one")
        check_made(inner.backend_tokenizer)
        inner.chat_template = None  # names of templates become names of files; a model that continues texts needs none
        return inner
