"""A tokenizer of transformers as llama.cpp knows it.

llama.cpp does not read how a tokenizer cuts a text into words before it merges bytes: that is in its code, under a
name. The name is found here by the patterns that the tokenizer has. (llama.cpp's own converter tells tokenizers apart
by a hash of what they make of one text, so it knows the vocabularies of its list alone.) A vocabulary in the manner of
SentencePiece has no such patterns: spaces become "▁", what has no token becomes bytes, and each token has a score.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from arasuji.errors import OptionError

GPT_2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DIGIT = r"\p{N}"
QWEN_2 = LLAMA_3.replace(r"\p{N}{1,3}", DIGIT)
NAMES = {
    (GPT_2, False): "gpt-2",
    (DIGIT, GPT_2, False): "smollm",
    (LLAMA_3, True): "llama-bpe",
    (LLAMA_3, False): "dbrx",
    (QWEN_2, False): "qwen2",
}
"""llama.cpp's names of the ways to cut a text: the patterns, each of which cuts what the one before has left; and
whether a word that is a token is taken whole, without merges."""
MARKED_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def add(writer: Any, model: Path, config: Any) -> None:
    """Add the tokenizer in the folder `model` to the file, with as many tokens as the embedding has rows.

    Raises OptionError where llama.cpp would cut a text in another way.
    """
    import gguf
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True, trust_remote_code=False)
    content = json.loads(tokenizer.backend_tokenizer.to_str())
    bpe = content["model"]
    if bpe["type"] != "BPE":
        raise OptionError(f"GGUF files are written with BPE tokenizers, and this model has the kind {bpe['type']}")
    if max(tokenizer.get_vocab().values()) >= config.vocab_size:
        raise OptionError(
            f"the tokenizer has more tokens than the model ({config.vocab_size:,}); are they of one model?"
        )
    tokens = [f"[UNUSED{i}]" for i in range(config.vocab_size)]
    types = [gguf.TokenType.UNUSED] * config.vocab_size
    for token, i in bpe["vocab"].items():
        tokens[i], types[i] = token, gguf.TokenType.NORMAL
    for token in content["added_tokens"]:
        tokens[token["id"]] = token["content"]
        types[token["id"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED

    space_prefix = _space_prefix(content)
    if space_prefix is None:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(_pre_tokenizer(content))
        writer.add_token_merges([" ".join(merge) for merge in bpe["merges"]])
    else:
        for i, token in enumerate(tokens):
            if re.fullmatch("<0x[0-9A-F]{2}>", token):
                types[i] = gguf.TokenType.BYTE
        writer.add_tokenizer_model("llama")
        writer.add_add_space_prefix(space_prefix)
        writer.add_token_scores(_scores(tokens, bpe))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    _add_ends(writer, tokenizer, config)


def _add_ends(writer: Any, tokenizer: Any, config: Any) -> None:
    """What stands before a text and ends it. Before it: what the tokenizer puts there, or else an end token, with which
    the documents of our training begin."""
    end = config.eos_token_id if isinstance(config.eos_token_id, int) else tokenizer.eos_token_id
    before = tokenizer("")["input_ids"]
    writer.add_bos_token_id(before[0] if before else end)
    writer.add_add_bos_token(True)
    writer.add_eos_token_id(end)
    writer.add_pad_token_id(end if tokenizer.pad_token_id is None else tokenizer.pad_token_id)
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _space_prefix(content: dict[str, Any]) -> bool | None:
    """Of a vocabulary in the manner of SentencePiece, whether a space is put before a text; None for another one."""
    match content["normalizer"], content["pre_tokenizer"]:
        case marked, _ if marked == MARKED_SPACES and content["model"]["byte_fallback"]:
            return False  # Gemma
        case {"normalizers": [{"type": "Prepend", "prepend": "▁"}, marked]}, None if marked == MARKED_SPACES:
            return True  # Llama 2, as version 4 of transformers has it
        case None, {"type": "Metaspace", "prepend_scheme": "always" | "first", "split": False}:
            return True  # the same in version 5, where a text that begins with a space gets no second one
    return None


def _pre_tokenizer(content: dict[str, Any]) -> str:
    """llama.cpp's name of the way in which a byte-level BPE cuts a text. (Of Qwen's normal form, NFC, llama.cpp knows
    nothing: a text in another form gets other tokens there.)"""
    found = []
    whole = content["pre_tokenizer"] or {}
    for part in whole.get("pretokenizers", [whole]):
        match part:
            case {"type": "ByteLevel", "add_prefix_space": False, "use_regex": with_pattern}:
                found += [GPT_2] if with_pattern else []
            case {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}:
                found.append(pattern)
            case {"type": "Digits", "individual_digits": True}:
                found.append(DIGIT)
            case _:
                found.append(str(part))
    name = NAMES.get((*found, content["model"]["ignore_merges"]))
    if name is None or content["normalizer"] not in (None, {"type": "NFC"}):
        raise OptionError(
            "this model's tokenizer cuts texts into words in a way that llama.cpp has no name for; GGUF files are "
            f"written with those that cut as {', '.join(NAMES.values())}, Gemma or Llama 2"
        )
    return name


def _scores(tokens: list[str], bpe: dict[str, Any]) -> list[float]:
    """The score of each token: the earlier in the list of merges it is made, the higher.

    llama.cpp joins any two tokens whose text is a token, so a vocabulary must have a merge for all of them.
    """
    vocabulary, merges = bpe["vocab"], {tuple(merge): rank for rank, merge in enumerate(bpe["merges"])}
    first: dict[str, int] = {}
    for token in vocabulary:
        for pair in ((token[:i], token[i:]) for i in range(1, len(token))):
            if pair[0] not in vocabulary or pair[1] not in vocabulary:
                continue
            if pair not in merges:
                raise OptionError(
                    f"this model's tokenizer has no merge for {token!r}, which llama.cpp would make all the same"
                )
            first[token] = min(first.get(token, len(merges)), merges[pair])
    return [-float(first.get(token, len(merges))) for token in tokens]
