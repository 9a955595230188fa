"""Damages files as disks, networks and attackers do: bytes, JSON values, gzip streams, and lines such as TOML's."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable
from typing import Any

MAGIC = [
    b"\0", b"\0\0\0\0", b"\xff", b"\xff\xff\xff\xff", b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x1a", b"\x1b[31m",
    b"1e999", b"-1e999", b"-1", b"0", b"NaN", b"Infinity", b"null", b"true", b"9" * 5000, b"1" + b"0" * 400,
    str(2**31).encode(), str(2**63).encode(), str(2**64 + 1).encode(), b"0x10", b"1_000", b"'", b'"', b'"""', b"'''",
    b"[", b"]", b"{", b"}", b"[[", b"[" * 300, b"{" * 300, b"(", b")", b"\\", b"\\u0000", b"\\ud800", b"\\x", b"%s",
    b"\n", b"\r", b"\r\n", b"\n\n", b"\x0b", b"\x0c", b"\x1c", b"\xc2\x85", b"\xe2\x80\xa8", b"\t", b" ", b" " * 300,
    b",", b";", b"|", b":", b"=", b".", b"a." * 60, b"#", b"<", b">", b"&", b"&#0;", b"/", b"../", b"sep=;", b"~",
]  # fmt: skip
"""What other programs read in another way than as plain letters, or not at all."""


def _place(content: bytes, rng: random.Random) -> tuple[int, int]:
    """Where a run of bytes begins and ends: mostly a short one, sometimes most of the content."""
    start = rng.randrange(len(content) + 1)
    longest = rng.choice([1, 4, 30, len(content)])
    return start, min(len(content), start + rng.randint(1, longest + 1))


def _flipped(content: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _removed(content: bytes, rng: random.Random) -> bytes:
    start, end = _place(content, rng)
    return content[:start] + content[end:]


def _doubled(content: bytes, rng: random.Random) -> bytes:
    start, end = _place(content, rng)
    return content[:end] + content[start:end] * rng.choice([1, 1, 2, 20]) + content[end:]


def _swapped(content: bytes, rng: random.Random) -> bytes:
    start, end = _place(content, rng)
    later, last = _place(content[end:], rng)
    later, last = end + later, end + last
    return content[:start] + content[later:last] + content[end:later] + content[start:end] + content[last:]


def _truncated(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _inserted(content: bytes, rng: random.Random) -> bytes:
    start = rng.choice([0, rng.randrange(len(content) + 1), len(content)])
    return content[:start] + rng.choice(MAGIC) + content[start:]


def _replaced(content: bytes, rng: random.Random) -> bytes:
    start, end = _place(content, rng)
    return content[:start] + rng.choice(MAGIC) + content[end:]


def _overwritten(content: bytes, rng: random.Random) -> bytes:
    """The length stays, so that what stands behind keeps its place."""
    start, magic = rng.randrange(len(content)), rng.choice(MAGIC)
    return (content[:start] + magic + content[start + len(magic) :])[: max(len(content), start + 1)]


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    _flipped, _removed, _doubled, _swapped, _truncated, _inserted, _replaced, _overwritten,
]  # fmt: skip


def mutated(content: bytes, rng: random.Random) -> bytes:
    """The bytes, damaged in one to three ways; never the same."""
    damaged = content
    while damaged == content:
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            damaged = rng.choice(DAMAGES)(damaged, rng) if damaged else rng.choice(MAGIC)
    return damaged


def mutated_lines(text: str, rng: random.Random) -> str:
    """The lines of a text (TOML, CSV), some of them lost, repeated, exchanged, or with another value or name."""
    lines = text.splitlines()
    for _ in range(rng.choice([1, 1, 2, 4])):
        if not lines:
            break
        place = rng.randrange(len(lines))
        name, equals, value = lines[place].partition(" = ")
        other = lines[rng.randrange(len(lines))]
        lines[place : place + 1] = rng.choice([
            [], [lines[place]] * 2, [other, lines[place]], [lines[place][: len(lines[place]) // 2]],
            [f"{name}{equals}{toml(strange(rng))}"], [f"{name}{equals}{other.partition(' = ')[2]}"],
            [f"{toml(strange(rng))} = {value}"], [f"[{name or 'a'}]"], [f"[[{name or 'a'}]]"],
            [lines[place] + rng.choice(MAGIC).decode("latin-1")],
        ])  # fmt: skip
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A value as TOML writes it, or nearly so."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {toml(held)}" for name, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def strange(rng: random.Random) -> Any:
    """A value that nobody expects."""
    return rng.choice([
        None, True, False, 0, -1, 1, 2, 2**31, 2**53, 2**63, -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, 1e-320, 1e308,
        float("inf"), float("-inf"), float("nan"), "", " ", "0", "nan", "None", "../..", "/dev/zero", "a\0b", "\n",
        "\ud800", "\udfff\ud800", "\x1b[2J", "\u202e", "e\u0301" * 50, "字" * 1000, "x" * 100_000, [], {}, [[]],
        [None], [{}], {"": {}}, {"a": None}, [0] * 2000, {"\ud800": "\0"}, deep(rng.choice([3, 50, 200]), rng),
    ])  # fmt: skip


def deep(depth: int, rng: random.Random) -> Any:
    """Lists in lists, or objects in objects."""
    value: Any = rng.choice([0, "x", None])
    as_list = rng.random() < 0.5
    for _ in range(depth):
        value = [value] if as_list else {"a": value}
    return value


def mutated_json(value: Any, rng: random.Random) -> Any:
    """The value of a JSON file with one to three of its parts dropped, renamed, doubled, exchanged, or made strange."""
    value = json.loads(json.dumps(value))
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        value = _changed(value, rng)
    return value


def _changed(value: Any, rng: random.Random) -> Any:
    places = list(_places(value))
    if not places or rng.random() < 0.02:
        return strange(rng)
    holder, key = rng.choice(places)
    other_holder, other = rng.choice(places)
    what = rng.randrange(8)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[rng.choice([key + "x", key.upper(), key[:-1], "", "\ud800", "__class__"])] = holder.pop(key)
    elif what == 2:
        holder[key] = json.loads(json.dumps(other_holder[other]))
    elif what == 3 and isinstance(holder, list):
        holder.extend([holder[key]] * rng.choice([1, 1000]))
    elif what == 4 and isinstance(holder, dict):
        holder[rng.choice(["extra", "", "type", "0"])] = strange(rng)
    elif what == 5:
        holder[key] = rng.choice([[holder[key]], {"a": holder[key]}, str(holder[key]), json.dumps(holder[key])])
    elif what == 6 and isinstance(holder[key], int | float):
        number = holder[key]
        holder[key] = rng.choice([-number, number + 1, number - 1, number * 2**32, number // 3, 10**12, str(number)])
    else:
        holder[key] = strange(rng)
    return value


def _places(value: Any) -> Any:
    """All places at which a value holds another, as the holder and the key."""
    held = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(held):
        yield value, key
        yield from _places(inner)


def json_bytes(value: Any, rng: random.Random) -> bytes:
    """A value as JSON: compact or indented, in ASCII or UTF-8 (where half of a surrogate pair is three bytes)."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, None, 1]))
    return text.encode("utf-8", "surrogatepass")


def mutated_json_file(content: bytes, rng: random.Random) -> bytes:
    """A file of JSON, damaged as bytes or as a value."""
    if rng.random() < 0.4:
        return mutated(content, rng)
    return json_bytes(mutated_json(json.loads(content), rng), rng)


def mutated_gzip(
    content: bytes, rng: random.Random, damage: Callable[[bytes, random.Random], bytes] = mutated
) -> bytes:
    """A file to be unpacked, of this content: damaged before it is packed or after, cut, longer than its trailer says,
    of several members, followed by rubbish, or of another form."""
    packed = gzip.compress(content, mtime=0)
    return rng.choice([
        lambda: gzip.compress(damage(content, rng), mtime=0),
        lambda: gzip.compress(damage(content, rng), mtime=0),
        lambda: mutated(packed, rng),
        lambda: packed[:-4] + rng.randbytes(4),
        lambda: packed + rng.choice([packed, b"\0" * 100, b"rubbish", packed[:20]]),
        lambda: gzip.compress(packed, mtime=0),
        lambda: zlib.compress(content),
        lambda: content,
    ])()  # fmt: skip
