"""Damages safetensors files: their bytes, their tensors, and what their headers say of these."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from typing import Any

from hard.mutate import mutated, mutated_json

Header = dict[str, Any]

TYPES = ["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL", "F8_E4M3", "F4", "C64", "U64", "", "f32"]
NUMBERS = {
    "F32": [struct.pack("<f", number) for number in (0.0, -1.0, 1e30, 3.4e38, float("inf"), float("nan"), 1e-40)],
    "F16": [b"\0\x7c", b"\0\x7e", b"\xff\x7b", b"\0\0"],
    "BF16": [b"\x80\x7f", b"\xc0\x7f", b"\x7f\x7f", b"\0\0"],
    "I8": [b"\x80", b"\x7f", b"\0"],
    "I32": [struct.pack("<i", number) for number in (-(2**31), -1, 0, 2**31 - 1)],
    "I64": [struct.pack("<q", number) for number in (-(2**63), -1, 0, 10**9, 2**63 - 1)],
}
"""What stands in the place of one number, or of all: not finite, too large, below zero."""


def mutated_tensors(content: bytes, rng: random.Random) -> bytes:
    """A safetensors file, damaged as bytes, in its header, or in its numbers; most are still a safetensors file."""
    named = set(_split(content)[0]) - {"__metadata__"}
    inside = [_entry, _entry, _tensors, _tensors, _numbers, _numbers] if named else []
    return rng.choice([mutated, _length, _header, *inside])(content, rng)


def _split(content: bytes) -> tuple[Header, bytes]:
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def _joined(header: bytes | Header, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _length(content: bytes, rng: random.Random) -> bytes:
    """The length of the header is another one."""
    true = int.from_bytes(content[:8], "little")
    false = rng.choice([0, 1, true - 1, true + 1, len(content), 10**8, 10**8 + 1, 2**31, 2**32, 2**63, 2**64 - 1])
    return struct.pack("<Q", false) + content[8:]


def _header(content: bytes, rng: random.Random) -> bytes:
    """The header is other JSON, or none."""
    header, data = _split(content)
    text = json.dumps(header).encode()
    if rng.random() < 0.5:
        return _joined(mutated(text, rng), data)
    changed = json.dumps(mutated_json(header, rng)).encode("utf-8", "surrogatepass")
    return _joined(changed, data)


def _entry(content: bytes, rng: random.Random) -> bytes:
    """A tensor is said to have another shape, type, place or name, or to stand there twice."""
    header, data = _split(content)
    name = rng.choice([name for name in header if name != "__metadata__"])
    entry = header[name]
    other = header[rng.choice([name for name in header if name != "__metadata__"])]
    shape, (start, end) = entry["shape"], entry["data_offsets"]
    changes: list[Callable[[], Any]] = [
        lambda: entry.update(shape=shape[::-1]),
        lambda: entry.update(shape=[*shape, 1]),
        lambda: entry.update(shape=[1, *shape]),
        lambda: entry.update(shape=[]),
        lambda: entry.update(shape=[size * rng.choice([0, 2, 2**31, 2**62]) for size in shape]),
        lambda: entry.update(shape=[-size for size in shape]),
        lambda: entry.update(shape=[2**32, 2**32, 0]),
        lambda: entry.update(shape=[1] * rng.choice([65, 2000]) + shape),
        lambda: entry.update(dtype=rng.choice(TYPES)),
        lambda: entry.update(other),
        lambda: entry.update(data_offsets=other["data_offsets"]),
        lambda: entry.update(data_offsets=[start, end + rng.choice([-1, 1, 4, 2**40])]),
        lambda: entry.update(data_offsets=[end, start]),
        lambda: entry.update(data_offsets=[2**64 - 1, 2**64 + 3]),
        lambda: header.pop(name),
        lambda: header.update({rng.choice([name + "x", "", name.upper(), "\ud800", "a" * 5000]): header.pop(name)}),
        lambda: header.update(
            __metadata__=rng.choice([{}, {"format": "tf"}, {"format": 5}, [], None, {"a": "x" * 10**6}])
        ),
    ]
    rng.choice(changes)()
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    if rng.random() < 0.1:  # JSON lets a name stand twice
        text = text[:-1] + b"," + json.dumps({name: other}).encode("utf-8", "surrogatepass")[1:]
    return _joined(text, data)


def _tensors(content: bytes, rng: random.Random) -> bytes:
    """A sound file in which some tensors are cut, longer, of another type, gone or new."""
    header, data = _split(content)
    held = {
        name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
        for name, entry in header.items()
        if name != "__metadata__"
    }
    for _ in range(rng.choice([1, 1, 2])):
        if not held:
            break
        name = rng.choice(sorted(held))
        kind, shape, own = held.pop(name)
        row = len(own) // shape[0] if shape and shape[0] else 0
        match rng.randrange(7):
            case 0:
                continue
            case 1 if row:  # a row less, or most rows less
                kept = rng.choice([0, 1, shape[0] - 1])
                held[name] = kind, [kept, *shape[1:]], own[: kept * row]
            case 2 if row:
                held[name] = kind, [shape[0] + 1, *shape[1:]], own + own[:row]
            case 3 if kind in ("F32", "F64", "I64"):  # the same bytes as smaller numbers
                smaller = {"F32": "F16", "F64": "F32", "I64": "I32"}[kind]
                held[name] = smaller, shape, own[: len(own) // 2]
            case 4:
                held[name + rng.choice(["x", ".weight", ".0"])] = kind, shape, own
            case 5:
                held[name] = kind, [*shape[:-2], *shape[-2:][::-1]], own
            case _:
                held[name] = kind, shape, own
                held["more"] = "F32", [1], b"\0\0\0\0"
    made, parts, at = {k: v for k, v in header.items() if k == "__metadata__"}, [], 0
    for name, (kind, shape, own) in held.items():
        made[name] = {"dtype": kind, "shape": shape, "data_offsets": [at, at + len(own)]}
        parts.append(own)
        at += len(own)
    return _joined(made, b"".join(parts))


def _numbers(content: bytes, rng: random.Random) -> bytes:
    """A sound file with other numbers: one of a tensor, all of them, or some bytes."""
    header, data = _split(content)
    named = sorted(name for name, entry in header.items() if name != "__metadata__" and entry["data_offsets"][1])
    if not named:
        return mutated(content, rng)
    entry = header[rng.choice(named)]
    start, end = entry["data_offsets"]
    number = rng.choice(NUMBERS.get(entry["dtype"], [b"\xff", b"\0"]))
    count = (end - start) // len(number)
    if not count or rng.random() < 0.2:
        return _joined(
            header,
            data[:start] + mutated(data[start:end] or b"\0", rng)[: end - start].ljust(end - start, b"\0") + data[end:],
        )
    if rng.random() < 0.5:
        return _joined(header, data[:start] + number * count + data[start + len(number) * count :])
    at = start + rng.randrange(count) * len(number)
    return _joined(header, data[:at] + number + data[at + len(number) :])
