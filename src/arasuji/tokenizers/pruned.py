"""A pretrained model's byte-level BPE, cut down to the tokens that the training split needs.

A student that learns from a pretrained teacher shares its tokens. It is a BPE again, of the merges that are left in
their order, and has all 256 bytes: lossless. A text is split as the base splits it, except where that needs a token
that was dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tokenizers as hf
from pydantic import BaseModel, ConfigDict, Field

from arasuji.errors import OptionError
from arasuji.files import read_json, write_json
from arasuji.tokenizers import NO_ID, pretrained
from arasuji.tokenizers._checked import door
from arasuji.tokenizers.bpe import END, PAD, Bpe
from arasuji.tokenizers.bpe import load as load_bpe

BASE_IDS = "base_ids.json"
"""The file with the base's id of each token."""


class Config(BaseModel):
    """Options of the tokenizer `pruned`."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    min_count: int = Field(5, ge=1)
    """Tokens of the base stay that occur at least so often in the training split, with all tokens that they are merged
    from."""


class Pruned(Bpe):
    """See `Tokenizer`. The base has no id for the pad, and may have none for bytes that never stand in its texts."""

    base_ids: np.ndarray

    def __init__(self, fast: hf.Tokenizer, base_ids: np.ndarray) -> None:
        super().__init__(fast)
        self.base_ids = base_ids

    def save(self, folder: Path) -> None:
        super().save(folder)
        write_json(folder / BASE_IDS, self.base_ids.tolist())


def build(config: Config, texts: Iterable[str], base: Path | None = None) -> Pruned:
    """Cut the tokenizer of `base` down to what the texts need."""
    if base is None:
        raise OptionError("the tokenizer 'pruned' is cut from a teacher's: --set teacher=RUN")
    whole = pretrained.load(base)
    content = json.loads(whole.fast.to_str())
    splitting = json.dumps(content["pre_tokenizer"])
    if content["model"]["type"] != "BPE" or "ByteLevel" not in splitting or '"add_prefix_space": true' in splitting:
        raise OptionError(f"the tokenizer 'pruned' needs a base with a lossless byte-level BPE, and {base} has another")
    id_of: dict[str, int] = content["model"]["vocab"]
    merges = [tuple(merge) for merge in content["model"]["merges"]]

    counts = np.zeros(whole.vocabulary_size, np.int64)
    for ids in whole.encode_batch(texts):
        np.add.at(counts, ids, 1)
    kept = {token for token, i in id_of.items() if counts[i] >= config.min_count}
    made_of = {left + right: (left, right) for left, right in reversed(merges)}  # by its first merge
    waiting = list(kept)
    while waiting:
        for part in made_of.get(waiting.pop(), ()):
            if part not in kept:
                kept.add(part)
                waiting.append(part)

    alphabet = sorted(hf.pre_tokenizers.ByteLevel.alphabet())
    longer = sorted(kept & made_of.keys(), key=id_of.__getitem__)
    vocabulary = {token: i for i, token in enumerate([END, PAD, *alphabet, *longer])}
    left = [merge for merge in merges if vocabulary.keys() >= {*merge, "".join(merge)}]
    fast = hf.Tokenizer(hf.models.BPE(vocabulary, left))
    fast.pre_tokenizer, fast.decoder = whole.fast.pre_tokenizer, hf.decoders.ByteLevel()
    fast.add_special_tokens([END, PAD])
    base_ids = [whole.end_id, NO_ID, *(id_of.get(token, NO_ID) for token in [*alphabet, *longer])]
    return Pruned(fast, np.array(base_ids))


def load(folder: Path) -> Pruned:
    """Read back what `save` wrote."""
    fast = load_bpe(folder).fast
    with door(folder):
        base_ids = read_json(folder / BASE_IDS)
        if len(base_ids) != fast.get_vocab_size() or not all(isinstance(i, int) and i >= NO_ID for i in base_ids):
            raise ValueError(f"{BASE_IDS} does not fit its vocabulary")
        return Pruned(fast, np.array(base_ids))
