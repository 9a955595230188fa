"""What every model of a comparison is asked, chosen by the seed alone, whatever models there are."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from arasuji.corpus import Corpus, Record
from arasuji.corpus.script import is_unspaced, placed_words, words_of
from arasuji.errors import OptionError
from arasuji.evaluation.examine import Job
from arasuji.evaluation.texts import Texts

PROMPT_WORDS = 8
"""The number of words of a prompt, which is the beginning of a held-out text."""
LEAST_WORDS, MOST_WORDS = 10, 60
"""The number of words that all continuations are cut to lies between these."""
RECENT, MOST_RECENT = 2025, 100
"""Titles from this year on, at most this number of them, are scored apart: they are later than SmolLM2's texts."""
MOST_TOLD = 300
"""At most this number of texts are written for genres."""
SHOWN, SHOWN_SAMPLES = 3, 4
"""The numbers of held-out texts and of continuations that are shown."""
SHOWN_CHARACTERS = range(200, 700)
"""The length of the held-out texts that are shown."""


@dataclass(frozen=True)
class Task:
    """What is asked of every model, and the real texts that its texts are compared with."""

    job: Job
    real: Texts
    """How the texts of the prompts go on in truth."""
    words: int
    """The number of words that continuations are cut to."""
    pool: Texts
    """Real texts after their first words, all long enough to be cut and none twice: those of the prompts, of the rest
    of the test split, of the validation split, and of the training split where these are too few."""
    pool_splits: list[str]
    """The split of each text of the pool."""
    told_groups: list[str]
    """The group of the held-out text whose genres each of the job's `genres` are."""


def task_of(folder: Path, corpus: Corpus, samples: int, seeds: int, documents: int, seed: int) -> Task:
    """The task of comparing models on a corpus.

    Raises:
        OptionError: no text of the test split is long enough for a prompt and a continuation.
    """
    order = list(range(len(corpus.test)))
    random.Random(seed).shuffle(order)
    chosen = order[:documents]
    places = [i for i in order if len(words_of(rest_of(corpus.test[i]))) >= LEAST_WORDS]
    long = [corpus.test[i] for i in places]
    if not long:
        raise OptionError(f"no test text of {folder} is long enough to be begun: {PROMPT_WORDS + LEAST_WORDS} words")
    rests = [rest_of(record) for record in long]
    sizes = sorted(len(rest.encode()) for rest in rests)
    told = [*islice(labelled((corpus.test, corpus.validation), seed), min(samples * seeds, MOST_TOLD))]
    fitting = [i for i in chosen if len(corpus.test[i].text) in SHOWN_CHARACTERS]
    job = Job(
        corpus=str(folder.resolve()),
        hash=corpus.hash,
        documents=chosen,
        recent=[i for i in order if corpus.test[i].metadata.get("year", 0) >= RECENT][:MOST_RECENT],
        shown=(fitting or chosen)[:SHOWN],
        prompts=[prompt_of(record) for record in long[:samples]] * seeds,
        prompted=places[:samples],
        rounds=seeds,
        seed=seed,
        genres=[record.metadata["genres"] for record in told],
        limit=sizes[math.ceil(0.95 * len(sizes)) - 1],
        samples_shown=SHOWN_SAMPLES,
    )
    words = words_to_cut(rests)
    real = Texts(rests[:samples], [record.group for record in long[:samples]])
    splits = {"test": long, "validation": shuffled(corpus.validation, seed), "train": shuffled(corpus.train, seed)}
    pool = list(islice(pool_of(splits, words), 2 * samples * seeds))
    groups = [record.group for _, record in pool]
    texts = Texts([rest_of(record) for _, record in pool], groups)
    return Task(job, real, words, texts, [split for split, _ in pool], [record.group for record in told])


def words_to_cut(rests: Sequence[str]) -> int:
    """The number of words that continuations are cut to: three quarters of the real ones have them."""
    lengths = sorted(len(words_of(rest)) for rest in rests)
    return min(MOST_WORDS, max(LEAST_WORDS, lengths[len(lengths) // 4]))


def shuffled(records: Sequence[Record], seed: int) -> Iterator[Record]:
    """The records in the order of a seed, each of them read when it is asked for."""
    return (records[i] for i in random.Random(seed).sample(range(len(records)), len(records)))


def labelled(splits: Iterable[Sequence[Record]], seed: int) -> Iterator[Record]:
    """The records of some splits that have genres, each split in the order of a seed."""
    return (record for split in splits for record in shuffled(split, seed) if record.metadata.get("genres"))


def pool_of(splits: Mapping[str, Iterable[Record]], words: int) -> Iterator[tuple[str, Record]]:
    """The records of the splits whose texts go on for `words` words after a prompt, each with its split's name."""
    for split, records in splits.items():
        yield from ((split, record) for record in records if len(words_of(rest_of(record))) >= words)


def prompt_of(record: Record) -> str:
    """The first `PROMPT_WORDS` words of a text, as they are written."""
    return record.text[: _end_of_prompt(record)]


def rest_of(record: Record) -> str:
    """How a text goes on after its prompt."""
    return record.text[_end_of_prompt(record) :]


def _end_of_prompt(record: Record) -> int:
    """The character at which the prompt ends. White space or the text's end is next, since not every model can continue
    within a word; in a script without spaces, any character is."""
    words = placed_words(record.text)
    last, _, end = words[min(PROMPT_WORDS, len(words)) - 1] if words else ("", 0, 0)
    if is_unspaced(last):
        return end
    gap = re.compile(r"\s|$").search(record.text, end)
    assert gap is not None
    return gap.start()
