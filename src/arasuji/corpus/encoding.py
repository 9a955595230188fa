"""Which encoding a text file is in: UTF-8, what its byte order mark says, or what charset-normalizer finds."""

from __future__ import annotations

import codecs
from typing import IO

MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins as UTF-16's does, so it is looked for first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks and the encodings that they announce."""
LIKELY = ["cp1252", "cp932", "gb18030", "big5", "cp949", "euc_jp", "cp1251", "koi8_r", "cp1250", "cp1253", "cp1254"]
"""The encodings that texts are found in; of several that fit equally well, the first one is taken."""
CHUNK = 1 << 20
"""A file is checked in pieces of this many bytes."""
SAMPLE = 1 << 16
"""The encoding is guessed from this many bytes, all of them from lines with letters beyond ASCII."""
LEAST = 6
"""With fewer bytes beyond ASCII than this, no encoding is guessed."""
SPEAKS = 0.3
"""A text reads as a language if charset-normalizer gives it at least this coherence."""
AHEAD = 0.04
"""Where no language is recognised, as in short CJK texts, an encoding is believed if its chaos is smaller than that of
any other one by at least this."""


def marked_or_utf8(file: IO[bytes]) -> str | None:
    """The encoding that a byte order mark announces; UTF-8 where the whole file is UTF-8; else None."""
    chunk = file.read(CHUNK)
    for mark, name in MARKS.items():
        if chunk.startswith(mark):
            return name
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk and b"\0" not in chunk:  # a zero byte is in no text: the reader will say so at once
            decoder.decode(chunk)
            chunk = file.read(CHUNK)
        decoder.decode(b"", final=not chunk)
    except UnicodeDecodeError:
        return None
    return "utf-8-sig"


def likely_encoding(file: IO[bytes]) -> str | None:
    """The encoding in which a file's lines beyond ASCII read as a language; None where that is not clear, where the
    file is no text, or where most of those lines are UTF-8, so that it is a damaged file."""
    from charset_normalizer import from_bytes

    sample, utf8, others = b"", 0, 0
    while len(sample) < SAMPLE and (line := file.readline(SAMPLE)):
        if not line.isascii():
            sample += line
            whole = _is_utf8(line)
            utf8, others = utf8 + whole, others + (not whole)
    beyond = sum(byte > 127 for byte in sample)
    if utf8 >= others or b"\0" in sample or beyond < LEAST:
        return None
    matches = from_bytes(sample, cp_isolation=LIKELY, preemptive_behaviour=False, enable_fallback=False)
    # A match stands for all encodings that give the same text.
    found = [(match, min(map(LIKELY.index, match.could_be_from_charset))) for match in matches]
    if not found:
        return None
    found.sort(key=lambda pair: (round(2 * pair[0].chaos - pair[0].coherence, 2), pair[1]))
    best, place = found[0]
    others_chaos = min((match.chaos for match, _ in found[1:]), default=1.0)
    clear = best.coherence >= SPEAKS or (best.multi_byte_usage > 0 and best.chaos + AHEAD <= others_chaos)
    return LIKELY[place] if clear else None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
