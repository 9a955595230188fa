"""A saved tokenizer may come from anyone: what could run for ever or make a text grow without end is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from arasuji.errors import ArasujiError, BaseModelError, first_line
from arasuji.files import read_json

FILE_BYTES = 2**26
"""A tokenizer.json may have at most this many bytes; the largest vocabularies take half of them."""
_ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PATTERNS = {
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # GPT-2
    rf"{_ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+{_REST}",  # GPT-4, Llama 3
    rf"{_ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+{_REST}",  # Qwen 2
    rf"{_ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+{_REST}",  # Qwen 3.5
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{N}}]+{_REST.replace('n]', 'n/]', 1)}",  # Mistral's Tekken
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_ENDINGS}?|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_ENDINGS}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+{_REST.replace('n]', 'n/]', 1)}",  # GPT-4o
    r"\p{N}{1,3}",
    r"\p{N}",
    r"\d",
    r"\s",
    r"[\r\n]",
    r" {2,}",
    r"\s+$",
}
"""Known tokenizers split texts by these patterns; by another one, a text may take longer than anybody lives."""
MOST_PARTS = 16
"""A stage of a tokenizer may have at most this many parts."""
MOST_CHARACTERS = 8
"""A stage may put in at most this many characters at once, so that a text does not grow without end."""
MOST_GROWING = 2
"""So many parts of a stage may make a text longer, each by a factor."""
MOST_BYTES = 64
"""A table of SentencePiece's puts in at most this many bytes for a letter; that of NFKC has 33."""
MOST_TOKENS, MOST_ADDED = 2**20, 2**14
"""The most tokens of a vocabulary, and of those beside it, which take long to add; Gemma 3 has 262,144 and 6,415."""
LONGEST_WORD = 256
"""WordPiece takes the cube of a word's length; usual is 100 letters."""
STAGES = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
"""The stages of a tokenizer.json that are checked."""


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Make any failure of the library, its panics included (they are no Exceptions), a BaseModelError of one line.

    `what` opens the line: it says what fails and, if the user can do something, what.
    """
    try:
        yield
    except (ArasujiError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        reason = first_line(error)
        raise BaseModelError(f"{what}: {reason}") from error


@contextmanager
def door(folder: Path | str) -> Iterator[None]:
    """A failure to open a tokenizer is one line that names its folder."""
    with one_line(f"cannot open the tokenizer in {folder}"):
        yield


def check(path: Path) -> None:
    """Raise ValueError where a tokenizer.json splits texts by an unknown pattern, makes them longer and longer or has
    more tokens than anybody, and OSError or ValueError where it is no such file."""
    content = read_json(path, FILE_BYTES, follow=True)
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict):
        raise ValueError(f"{path.name} is no tokenizer")
    for part, most in ((model.get("vocab"), MOST_TOKENS), (content.get("added_tokens"), MOST_ADDED)):
        if isinstance(part, dict | list) and len(part) > most:
            raise ValueError(f"it has {len(part):,} tokens where {most:,} are read at most")
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if len(str(model.get(key) or "")) > MOST_CHARACTERS:
            raise ValueError(f"its {key} has {len(str(model[key])):,} characters")
    longest = model.get("max_input_chars_per_word", 0)
    if not isinstance(longest, int) or longest > LONGEST_WORD:
        raise ValueError(f"it cuts words of more than {LONGEST_WORD} letters")
    for stage in STAGES:
        _check_stage(stage, content.get(stage))


def check_made(fast: Any) -> None:
    """The same of the stages of a tokenizer of the library that something else than its file may have made."""
    for stage in STAGES:
        if made := getattr(fast, stage):
            _check_stage(stage, json.loads(made.__getstate__()))


def _check_stage(stage: str, content: Any) -> None:
    parts = list(_parts(content))
    if len(parts) > MOST_PARTS:
        raise ValueError(f"its {stage} has {len(parts)} parts")
    for part in parts:
        pattern = part.get("pattern")
        if isinstance(pattern, dict) and "Regex" in pattern and pattern["Regex"] not in PATTERNS:
            raise ValueError(f"it splits texts by an unknown pattern, which might never end: {pattern['Regex']!r:.60}")
        for key in ("content", "prepend", "replacement"):
            if len(str(part.get(key, ""))) > MOST_CHARACTERS:
                raise ValueError(f"its {stage} puts in {len(str(part[key]))} characters at once")
        if any(isinstance(part.get(key), int) and part[key] > MOST_CHARACTERS for key in ("start", "stop")):
            raise ValueError(f"its {stage} strips more than {MOST_CHARACTERS} characters")
        if part.get("type") == "Precompiled":
            _check_table(part.get("precompiled_charsmap"))
    if sum(map(_grows, parts)) > MOST_GROWING:
        raise ValueError(f"its {stage} makes texts longer and longer")


def _grows(part: dict[str, Any]) -> bool:
    """Whether what a part puts in may be longer than what it takes out."""
    if part.get("type") != "Replace":
        return part.get("type") in ("ByteLevel", "Precompiled")
    pattern = part.get("pattern")
    taken = pattern.get("String") if isinstance(pattern, dict) else pattern
    return len(str(part.get("content"))) > (len(taken) if isinstance(taken, str) else 1)


def _check_table(table: Any) -> None:
    """A table of SentencePiece's: the size of a trie in 4 bytes, the trie, and what it puts in, each before a zero."""
    content = base64.b64decode(table or "")
    put_in = content[4 + int.from_bytes(content[:4], "little") :]
    if max(map(len, put_in.split(b"\0"))) > MOST_BYTES:
        raise ValueError(f"its table puts in more than {MOST_BYTES} bytes for a letter")


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """The parts of a stage, which may hold others."""
    if isinstance(value, dict):
        if "type" in value:
            yield value
        for inner in value.values():
            yield from _parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _parts(inner)


def check_ids(ids: list[int], size: int, named: list[int]) -> None:
    """Raise ValueError where a vocabulary's ids, or those that are `named`, reach beyond its size or are scattered."""
    if not ids or min(ids) < 0 or max(ids) >= size or size > 2 * len(ids) + 1000:
        raise ValueError(f"its {len(ids):,} tokens have ids that are not those of a vocabulary of {size:,}")
    if not all(isinstance(i, int) and 0 <= i < size for i in named):
        raise ValueError(f"it names tokens beyond its vocabulary of {size:,}")
