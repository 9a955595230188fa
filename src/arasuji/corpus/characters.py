"""What the default rules do to characters and white space, for texts and prompts alike."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f\u200b\ufeff]")
"""Control characters, byte order marks and zero-width spaces become spaces."""


def composed(text: str) -> str:
    """Letters and their accents as one character each, in the order that Unicode prescribes (its form NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def tidy(text: str) -> str:
    """Runs of white space as one space, no empty lines."""
    lines = (" ".join(line.split()) for line in _INVISIBLE.sub(" ", text).splitlines())
    return "\n".join(line for line in lines if line)
