"""The training split with a number for each word: copies are looked for in it, and words are counted.

It is kept in the corpus's folder, sealed, and made again where it is missing.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from arasuji.corpus.folder import INDEX, Corpus
from arasuji.corpus.record import Record
from arasuji.corpus.script import words_of
from arasuji.errors import StorageError
from arasuji.files import read_json
from arasuji.folders import new_folder, open_folder, seal

LAYOUT = 1
"""The version of what is kept: it is raised when words are found or stored in another way."""
WORD_BYTES = 2**30
"""The file of the different words may have at most this many bytes."""


@dataclass(frozen=True)
class TrainingWords:
    """Every text of the training split, word by word."""

    number_of: dict[str, int]
    """The different words, in lower case and without punctuation."""
    numbers: np.ndarray
    """All words of all texts, (N,) int32."""
    starts: np.ndarray
    """Where each text begins, and the end of the last one, (texts + 1,) int64."""

    def counts(self) -> np.ndarray:
        """How often each word occurs, (different words,) int64."""
        return np.bincount(self.numbers, minlength=len(self.number_of))

    def texts(self) -> Iterator[list[int]]:
        """The words of each text."""
        for start, end in pairwise(self.starts.tolist()):
            yield self.numbers[start:end].tolist()


def training_words(folder: Path) -> TrainingWords:
    """The training words of the corpus in `folder`: those that are kept there, or else read now and then kept."""
    corpus = Corpus.load(folder)
    found = open_folder(folder.resolve() / INDEX, "words.json", "numbers.npy", "starts.npy")
    if found and found[1].get("of") == [LAYOUT, corpus.hash]:
        with suppress(FileNotFoundError, ValueError, TypeError):  # the folder may come from anyone
            return _kept(found[0], len(corpus.train))
    made = numbered(corpus.train)
    # Where nothing may be written, nothing is kept.
    with suppress(StorageError), new_folder(folder.resolve() / INDEX) as target:
        (target / "words.json").write_text(json.dumps(list(made.number_of), ensure_ascii=False), "utf-8")
        np.save(target / "numbers.npy", made.numbers)
        np.save(target / "starts.npy", made.starts)
        seal(target, {"of": [LAYOUT, corpus.hash]})
    return made


def _kept(folder: Path, texts: int) -> TrainingWords:
    """The training words that a folder keeps. Raises ValueError where it does not hold the numbers of `texts` texts."""
    words = read_json(folder / "words.json", WORD_BYTES)
    numbers, starts = (read_array(folder / f"{name}.npy") for name in ("numbers", "starts"))
    number_of = {str(word): i for i, word in enumerate(words)}
    kinds = str(numbers.dtype), str(starts.dtype)
    if kinds != ("int32", "int64") or numbers.ndim != 1 or starts.shape != (texts + 1,):
        raise ValueError("these are no numbers of words")
    if starts[0] != 0 or starts[-1] != len(numbers) or (np.diff(starts) < 0).any() or len(number_of) < len(words):
        raise ValueError("the texts overlap, or a word stands twice")
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(words)):
        raise ValueError("a number has no word")
    return TrainingWords(number_of, numbers, starts)


def read_array(path: Path) -> np.ndarray:
    """The array of a .npy file, which may come from anyone. Raises OSError and ValueError."""
    try:
        return np.array(np.load(path, mmap_mode="r"))  # a head may claim any size: to be mapped, the file must have it
    except OSError:
        raise
    except Exception as error:  # numpy reads the head as Python reads a program, with all errors of that
        raise ValueError(f"{path} holds no array") from error


def numbered(train: Iterable[Record]) -> TrainingWords:
    """The words of the records of a training split."""
    number_of: dict[str, int] = {}
    numbers, starts = array("i"), array("q", [0])
    for record in train:
        numbers.extend(number_of.setdefault(word, len(number_of)) for word in words_of(record.text))
        starts.append(len(numbers))
    return TrainingWords(number_of, np.frombuffer(numbers, np.int32), np.frombuffer(starts, np.int64))
