"""What tokenizers of the `tokenizers` library share: many texts encoded at once, and where each token stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice, pairwise

import tokenizers as hf

from arasuji.errors import BaseModelError
from arasuji.tokenizers import Tokenizer
from arasuji.tokenizers._checked import one_line

BATCH = 1000
"""At most this many texts are encoded at once, so that memory does not grow with their number."""


class FastTokenizer(Tokenizer):
    """See `Tokenizer`. `fast` is a tokenizer of the library; what was saved with it of cutting and filling texts is
    switched off."""

    def __init__(self, fast: hf.Tokenizer) -> None:
        fast.encode_special_tokens = True  # "<|endoftext|>" typed in a text is text
        fast.no_truncation()
        fast.no_padding()
        self.fast = fast

    def encode(self, text: str) -> list[int]:
        with _of_a_text(text):
            ids: list[int] = self.fast.encode(text, add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Iterable[str]) -> Iterator[list[int]]:
        left = iter(texts)
        while some := list(islice(left, BATCH)):
            try:
                with _of_a_text(some[0]):
                    found = self.fast.encode_batch_fast(some, add_special_tokens=False)
            except BaseModelError:
                yield from map(self.encode, some)  # which names the text
            else:
                yield from (encoding.ids for encoding in found)

    def spans(self, text: str) -> list[tuple[int, int]]:
        with _of_a_text(text):
            offsets = self.fast.encode(text, add_special_tokens=False).offsets
        ends = [0]
        for (_, end), (following, _) in pairwise([*offsets, (len(text), len(text))]):
            ends.append(max(ends[-1], min(end, following)))  # where a character is shared, the next token starts in it
        return list(pairwise(ends))

    def decode(self, ids: list[int]) -> str:
        with one_line("the tokenizer fails at writing a text (choose another tokenizer)"):
            text: str = self.fast.decode(ids, skip_special_tokens=True)
        return text


@contextmanager
def _of_a_text(text: str) -> Iterator[None]:
    """A failure to encode is one line that shows the text."""
    what = f"the tokenizer fails at the text that begins {text[:30]!r} (leave it out, or choose another tokenizer)"
    with one_line(what):
        yield
