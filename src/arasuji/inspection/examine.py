"""The whole examination: read, prepare into a folder of its own, measure, judge."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from arasuji import arguments
from arasuji.corpus import SPLITS, Corpus, Progress, Record, Records, is_corpus, prepare
from arasuji.corpus.clean import load_rules
from arasuji.corpus.read import read_all
from arasuji.corpus.script import count_words
from arasuji.corpus.source import Reading
from arasuji.errors import CorpusError, OptionError
from arasuji.inspection import Inspection, Phrase, Vocabulary
from arasuji.inspection.boilerplate import boilerplate
from arasuji.inspection.findings import findings
from arasuji.inspection.fit import fit
from arasuji.inspection.leakage import leakage
from arasuji.inspection.outlook import outlook, verdict
from arasuji.inspection.repeats import repeats
from arasuji.inspection.stage import stage
from arasuji.inspection.vocabulary import vocabulary

MENDED = 0.1
"""The rules have removed a boilerplate phrase if it is left in at most this share of the documents that had it."""


def examine(
    sources: Sequence[Path | str] | Path | str,
    rules: str = "default",
    seed: int = 0,
    progress: Progress = lambda what, done, total: None,
    **reading: Any,
) -> Inspection:
    """Examine sources as `prepare` would read them, or one corpus folder. Nothing is kept on the disk.

    `reading` are `prepare`'s options of reading.
    Raises SourceError and OptionError as `prepare` does, and CorpusError for a damaged corpus folder. Texts that make
    no corpus are no error: the verdict says why.
    """
    paths = [Path(source) for source in arguments.names(sources)]
    given = len(paths) == 1 and is_corpus(paths[0])
    if given and rules != "default":
        raise OptionError(f"{paths[0]} is a corpus, and its rules have been applied: inspect its source with --rules")
    load_rules(rules)  # a wrong rule set is an error before the first text is read
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        refusal = ""
        corpus: Corpus | None = None
        notes: list[str] = []
        if given:
            corpus = Corpus.load(paths[0])
            found = Records.write(work / "found.jsonl", _all(corpus))
        else:
            records = read_all(paths, Reading(**reading), notes.append, progress)
            found = Records.write(work / "found.jsonl", records)
            try:
                corpus = prepare(paths, work / "corpus", rules, seed, progress=progress, **reading)
            except CorpusError as error:  # too little is left: the verdict says so
                refusal = str(error)
        names = [str(path) for path in paths]
        measured = _measured(work, names, "" if given else rules, found, corpus, refusal, progress)
        return replace(measured, notes=list(corpus.notes) if corpus else notes)


def _all(corpus: Corpus) -> Iterator[Record]:
    return chain.from_iterable(corpus.split(name) for name in SPLITS)


def _measured(
    work: Path, sources: list[str], rules: str, found: Records, corpus: Corpus | None, refusal: str, progress: Progress
) -> Inspection:
    texts = Records.write(work / "texts.jsonl", (record for record in found if record.text.strip()))
    left = Records.write(work / "left.jsonl", _all(corpus) if corpus else [])
    texts.watch = lambda done: progress("measuring", done, len(texts))
    as_found, as_left = stage(found), stage(left)
    duplicates = repeats(texts)
    phrases = boilerplate(texts)
    problems = findings(found, as_found, duplicates, _remaining(phrases, left))
    train, validation = (corpus.train, corpus.validation) if corpus else (left, left)
    words = vocabulary(train, validation) if corpus else Vocabulary(0, 0, 0, [], 0.0)
    leak = leakage(train, validation) if corpus else 0.0
    to_learn = round(sum(count_words(record.text) for record in train))
    expected = outlook(to_learn) if corpus else []
    removals = [count.counts() for count in corpus.rules] if corpus else []
    mended = {count.rule.partition(":")[0] for count in corpus.rules} - {"phrase", "cut"} if corpus else set()
    return Inspection(
        sources=sources,
        rules=rules,
        found=as_found,
        prepared=as_left,
        duplicates=duplicates,
        boilerplate=phrases,
        vocabulary=words,
        tokenizers=fit(train),
        leakage=leak,
        removals=removals,
        findings=problems,
        outlook=expected,
        verdict=[f"No corpus can be made of this: {refusal}."]
        if refusal
        else verdict(to_learn, expected, leak, problems, mended),
        hash=corpus.hash if corpus else "",
    )


def _remaining(phrases: Sequence[Phrase], left: Records) -> list[Phrase]:
    """The boilerplate that still stands in the prepared texts, with its documents there."""
    still = []
    lowered = [phrase.text.casefold() for phrase in phrases]
    counts = [0] * len(phrases)
    for record in left:
        text = " ".join(record.text.casefold().split())
        for place, words in enumerate(lowered):
            counts[place] += words in text
    for phrase, count in zip(phrases, counts, strict=True):
        if count > MENDED * phrase.documents:
            still.append(replace(phrase, documents=count))
    return still
