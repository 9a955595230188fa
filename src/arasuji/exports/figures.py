"""What a model card measures: how well a model predicts held-out texts, and what it copies of training texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from arasuji.corpus import Corpus
from arasuji.corpus.originality import COPY_WORDS, Copied, copied
from arasuji.corpus.script import words_of
from arasuji.corpus.suffixes import suffixes_of
from arasuji.documents import predictable, told_only
from arasuji.evaluation.charge import Charge
from arasuji.evaluation.score import score
from arasuji.evaluation.task import LEAST_WORDS, prompt_of, rest_of, shuffled
from arasuji.generation.texts import Sample
from arasuji.runs import RunDirectory, TrainedModel
from arasuji.writing import generate

MOST_SCORED = 1000
"""At most so many texts of the test split are scored, drawn by a seed."""
WRITTEN, TOKENS = 20, 120
"""So many texts are written in each way, of at most so many tokens: some seconds of a small model."""


@dataclass(frozen=True)
class Likelihood:
    """Bits per byte of the test split."""

    bits_per_byte: float
    interval: tuple[float, float] | None
    """Of 95 %, by the bootstrap of groups; None of a single group."""
    documents: int
    of: int
    """The number of texts that the split has."""
    bytes: int
    precision: str
    """In which it was computed: torch's name of the type."""
    lower_bound: bool
    """Whether what the tokenizer throws away is not charged."""


@dataclass(frozen=True)
class Copying:
    """What of some texts stands in the training split, after the words that they were begun with."""

    texts: int
    longest: int
    """The most words in a row."""
    copying: int
    """The number of texts with `COPY_WORDS` words in a row or more."""


def likelihood(run: RunDirectory, trained: TrainedModel, corpus: Corpus) -> Likelihood:
    """Score the test split, with the fields that the model was trained with. `trained` has whole weights."""
    split = predictable(corpus.test, run.facts.experiment.document)
    records = split if len(split) <= MOST_SCORED else list(islice(shuffled(split, 0), MOST_SCORED))
    read = [told_only(record, trained.predicts) for record in records]
    groups = [record.group for record in records]
    charge = Charge.of(trained.tokenizer, corpus.train)
    found = score(trained.model, trained.tokenizer, read, groups, charge, trained.format)
    return Likelihood(
        bits_per_byte=found.bits_per_byte,
        interval=found.interval(),
        documents=len(records),
        of=len(split),
        bytes=sum(found.bytes),
        precision=str(trained.precision).removeprefix("torch."),
        lower_bound=found.charge is None,
    )


def copying(trained: TrainedModel, corpus: Corpus, seed: int = 0) -> dict[str, Copying]:
    """Write texts from the first words of test texts: with the rule that forbids copies ("with the rule"), and as any
    other program writes ("without"). Beside them, how the same test texts go on ("real"). Empty where no test text is
    long enough, or where the corpus is in no folder."""
    long = (record for record in shuffled(corpus.test, seed) if len(words_of(rest_of(record))) >= LEAST_WORDS)
    chosen = list(islice(long, WRITTEN))
    if not chosen or corpus.folder is None:
        return {}
    prompts = [prompt_of(record) for record in chosen]
    shorter = {"min_length": 0, "max_length": min(trained.sampling.max_length, TOKENS)}

    def written(**rule: int | None) -> list[Copied]:
        samples = generate(trained, prompts, 1, seed, shorter, corpus=corpus.folder, **rule)  # type: ignore[arg-type]
        return [_of(sample) for sample in samples]

    training = suffixes_of(corpus.folder)
    real = [copied(record.text, training, len(prompt)) for record, prompt in zip(chosen, prompts, strict=True)]
    return {"with the rule": _sum(written()), "without": _sum(written(longest_copy=None)), "real": _sum(real)}


def _of(sample: Sample) -> Copied:
    assert sample.copied is not None  # the corpus was named
    return sample.copied


def _sum(texts: Sequence[Copied]) -> Copying:
    longest = [text.longest for text in texts]
    return Copying(len(texts), max(longest), sum(words >= COPY_WORDS for words in longest))
