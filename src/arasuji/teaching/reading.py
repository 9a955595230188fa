"""A teacher reads documents, and what it expects at each of their tokens is kept in a file.

The file has a row of drawn tokens for each target, in the order of the documents, and nothing else. A file beside it
has a checksum of every block of documents that were read. Both grow as the teacher reads: what a killed process has
left is continued, and from the first document on that is another one, the teacher reads again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from arasuji.device import here
from arasuji.errors import RunError
from arasuji.files import append, read_bytes
from arasuji.models import IGNORED, LanguageModel, TrainingTexts
from arasuji.padding import padded
from arasuji.teaching.draws import drawn

AT_ONCE = 64
"""Documents in a block, whose draws are written together. So batches, and the rounding in them, are the same wherever
the reading was stopped."""
SUM_BYTES = 16
"""The length of a checksum."""
BATCH_TOKENS = 2048
"""The most tokens that are read at once, pads included."""
LONGEST = 2**30
"""No document has more tokens."""


def read(teacher: LanguageModel, base_ids: np.ndarray, texts: TrainingTexts, count: int, path: Path) -> Iterator[int]:
    """Let the teacher read the documents that have no draws in the file yet; yields the number of those that have, at
    first and whenever the file grows.

    base_ids (V,) is the teacher's id of each of the student's tokens; of a negative one it knows nothing, and such a
    token is never drawn. The teacher reads the student's tokens, as which it might not split the text itself.
    """
    done = documents_in(path, texts, count, base_ids)
    yield done
    for block, numbers in enumerate(_blocks(texts)):
        if numbers.stop > done:
            found = _drawn(teacher, base_ids, texts, numbers, count).astype(_kind(base_ids))
            append(path, found.tobytes(), at=int(texts.lengths[: numbers.start].sum()) * found[0].nbytes)
            append(_sums_of(path), _sum(texts, numbers), at=block * SUM_BYTES)
            yield numbers.stop


def documents_in(path: Path, texts: TrainingTexts, count: int, base_ids: np.ndarray) -> int:
    """The number of documents, from the first one on, whose draws are in the file."""
    if not path.exists() or not _sums_of(path).exists():
        return 0
    rows = path.stat().st_size // (count * _kind(base_ids).itemsize)
    sums, ends, done = read_bytes(_sums_of(path), 2**30), texts.lengths.cumsum(), 0
    for block, numbers in enumerate(_blocks(texts)):
        own = sums[block * SUM_BYTES : (block + 1) * SUM_BYTES]
        if ends[numbers.stop - 1] > rows or own != _sum(texts, numbers):
            break
        done = numbers.stop
    return done


def _blocks(texts: TrainingTexts) -> list[range]:
    """The numbers of the documents of each block."""
    return [range(start, min(start + AT_ONCE, len(texts))) for start in range(0, len(texts), AT_ONCE)]


def _sums_of(path: Path) -> Path:
    return path.with_suffix(".sums")


def _sum(texts: TrainingTexts, numbers: range) -> bytes:
    """A checksum of the tokens of some documents."""
    tokens = [part for number in numbers for part in texts.read(number, LONGEST)]
    return hashlib.blake2b(np.concatenate(tokens).tobytes(), digest_size=SUM_BYTES).digest()


def draws_in(path: Path, texts: TrainingTexts, count: int, base_ids: np.ndarray) -> np.ndarray:
    """The draws of all documents, (targets, count), mapped from the file. Raises RunError where it does not hold
    them."""
    try:
        found = np.memmap(path, _kind(base_ids), "r", shape=(int(texts.lengths.sum()), count))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged: delete it, and the teacher reads again") from error
    if found.max(initial=0) >= len(base_ids):
        raise RunError(f"{path} is damaged, it holds unknown tokens: delete it, and the teacher reads again")
    return found


def _kind(base_ids: np.ndarray) -> np.dtype[np.unsignedinteger]:
    """The smallest type that has a number for each token."""
    return np.min_scalar_type(len(base_ids) - 1)


@torch.inference_mode()
def _drawn(
    teacher: LanguageModel, base_ids: np.ndarray, texts: TrainingTexts, numbers: range, count: int
) -> np.ndarray:
    """The draws of some documents, one after another: (targets, count) int64, zeros where a target is not counted."""
    known = torch.from_numpy(np.flatnonzero(base_ids >= 0)).to(here())
    asked = torch.from_numpy(base_ids).to(here())[known]
    documents = [texts.read(number, LONGEST) for number in numbers]
    ids = base_ids[np.concatenate([ids for ids, _ in documents])].clip(min=0)
    targets = np.concatenate([targets for _, targets in documents])
    offsets = torch.cat([_offsets(number, len(row)) for number, (row, _) in zip(numbers, documents, strict=True)])
    found = torch.zeros(len(ids), count, dtype=torch.int64)
    for windows in _batches([len(row) for row, _ in documents], teacher.context_length):
        rows = padded([ids[start:stop] for start, _, stop in windows], 0)
        wanted = padded([targets[start:stop] for start, _, stop in windows], IGNORED)
        at = padded([range(start, stop) for start, _, stop in windows], -1)
        wanted[at < torch.tensor([new for _, new, _ in windows])[:, None]] = IGNORED

        def keep(scores: Tensor, _: Tensor, places: Tensor, at: Tensor = at) -> Tensor:
            own = at.flatten()[places.cpu()]
            found[own] = known[drawn(scores[:, asked], offsets[own], count)].cpu()
            return scores.new_zeros(len(scores), dtype=torch.float32)

        teacher(rows.to(here()), wanted.to(here()), None, keep)
    return found.numpy()


def _offsets(number: int, length: int) -> Tensor:
    """What chooses the draws of a document: the same whatever is read beside it, (length,)."""
    return torch.rand(length, generator=torch.Generator().manual_seed(number))


def _batches(lengths: list[int], limit: int | None) -> Iterator[list[tuple[int, int, int]]]:
    """What is read at once of documents that stand one after another: windows (start, first new token, stop), long ones
    first. The windows of a document that is longer than the teacher's context overlap by half."""
    windows, start = [], 0
    for length in lengths:
        end, new = start + length, start
        while new < end:
            stop = min(end, start + (limit or length))
            windows.append((start, new, stop))
            start, new = stop - (limit or 0) // 2, stop
        start = end
    windows.sort(key=lambda window: window[0] - window[2])
    while windows:
        most = max(1, BATCH_TOKENS // (windows[0][2] - windows[0][0]))
        yield windows[:most]
        windows = windows[most:]
