"""Long texts in which a search may start again at every letter: no work grows with the square of a text's length."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

LENGTH = 200_000
"""The texts have about this many characters; a novel has three times as many."""
SECONDS = 10
"""A text may take so many seconds of a processor."""

Work = Callable[[str], Any]


def rule(name: str, **parameters: Any) -> Work:
    """A rule of cleaning, and the examples of what it has done."""
    from arasuji.corpus import clean
    from arasuji.corpus.examples import Sample
    from arasuji.corpus.record import Record

    found = clean.RULES[name]
    given = {"default": next((s.parameters for s in clean.load_rules("default").steps if s.rule == name), {})}

    def work(text: str) -> None:
        used = given["default"] | parameters
        record = Record("1", text, metadata={"genres": [text]})
        sample = Sample(found, used)
        (after,) = found.function([record], **used)
        sample.add(text, after)
        for example in sample.examples():
            example.pieces()

    return work


def every(function: Callable[[str], Iterable[Any]]) -> Work:
    return lambda text: list(function(text))


def works() -> dict[str, Work]:
    """What is done with a text, by its name."""
    from arasuji import speech, writing
    from arasuji.cli import terminal
    from arasuji.corpus import (
        Record,
        characters,
        columns,
        dedupe,
        known_names,
        language,
        layout,
        names,
        near,
        script,
        sentences,
        split,
    )
    from arasuji.corpus.unwrap import Unwrapping
    from arasuji.documents import told_only
    from arasuji.evaluation import task
    from arasuji.evaluation.diversity import distinct, repetition, self_bleu
    from arasuji.generation import texts
    from arasuji.generation.mending import Balanced
    from arasuji.inspection import boilerplate, findings, leakage, stage
    from arasuji.tokenizers import word

    def some(text: str) -> list[Record]:
        return [Record(str(i), text, metadata={"title": text[:5000]}) for i in range(2)]

    def balance(text: str) -> None:
        balanced = Balanced(None)  # type: ignore[arg-type]
        balanced.begin([], text, 10)

    def measure_variety(text: str) -> None:
        words = script.words_of(text)
        distinct([words], 3), repetition(words), self_bleu([words, words])

    made: dict[str, Work] = {
        "repaired": rule("repair"),
        "composed": characters.composed,
        "a title": split.group_of,
        "genres": columns.genre_list,
        "a column's name": lambda text: [names.nearness(what, text) for what in names.KNOWN],
        "lines of a file": lambda text: list(layout.texts_of(text.splitlines(keepends=True))),
        "lines by markers": lambda text: list(layout.texts_of([text], "markers")),
        "blocks": lambda text: list(layout.texts_of(text.splitlines(keepends=True), "blocks")),
        "shown layout": lambda text: layout.shown_by(text.splitlines()),
        "sentences": sentences.sentences,
        "a final sentence": sentences.is_final,
        "closing marks": sentences.only_closes,
        "words": script.placed_words,
        "words counted": script.count_words,
        "shingles": near.shingles_of,
        "a sum": dedupe.sum_of,
        "the language": language.language,
        "names": lambda text: known_names.names_in(some(text)),
        "a text in an object": lambda text: Unwrapping().text({"en": [text, text]}),
        "boilerplate": lambda text: boilerplate.boilerplate(some(text) * 5),
        "figures": lambda text: stage.stage(some(text)),
        "findings": lambda text: findings.findings(some(text), stage.stage(some(text)), Clusters, []),
        "leakage": lambda text: leakage.leakage(some(text), some(text)),
        "the middle": lambda text: told_only(Record("1", text), "middle"),
        "a prompt": texts.as_text,
        "a prompt of a test": lambda text: task.prompt_of(Record("1", text)),
        "a variation": lambda text: writing.variation_of("word " * 60 + text),
        "marks of a prompt": balance,
        "variety": measure_variety,
        "the article's words": word.words_of,
        "the article's places": word.places_of,
        "shown": speech.shown,
        "wrapped": terminal.wrapped,
        "clipped": partial(terminal.clipped, columns=80),
    }  # fmt: skip
    for name in ("html", "markers", "accents", "whitespace", "source-notes", "words", "lost-start", "placeholders"):
        made[f"rule {name}"] = rule(name)
    made["rule genres"] = rule("genres", drop=["Hentai"])
    made["rule phrase"] = rule("phrase", phrase="a a a")
    made["rule cut"] = rule("cut", phrase="a a b")
    made["rule article-cleaner"] = rule("article-cleaner", everywhere="()", at_start=" a")
    made["rule language"] = rule("language", keep=["en"])
    return made


class Clusters:
    """No duplicates."""

    exact = near = 0
    clusters: tuple[Any, ...] = ()


PIECES = [
    " ", "\n", "\t", "\r\n", "\u2028", "\u3000", "\x1f", "\0", "\u200b", "a", "A", "é", "e\u0301", "\u0301", "字", "の",
    "ひ", "ก", "1", "20", ".", "!", "?", "…", "。", "！", ",", ":", "：", ";", "-", "–", "~", '"', "'", "”", "’", "(",
    ")", "（", "）", "[", "]", "{", "<", ">", "</", "<!--", "-->", "<a b=", "<br", "<br/>", "<b>", "&", "&amp;", "amp;",
    "lt;", "&#38;", "#", "&#x26;", ";", "source", "Source: ", "(Source: ", "[Written by ", "written by", "\nSource: a",
    "(source:(", "[source:[", " season", " the", " part", " 2nd", " ii", " movie", "gekijouban ", "eiga ", "第", "二期",
    "劇場版", " - ", ": ", "<|", "|>", "<|endoftext|>", "<s>", "</s>", "[EOS]", "[", "<s", "N/A", "no synopsis", "a a ",
    "a a a", "Hero ", "Ω", "â€", "â€™", "Â", "Ã", "ã\x81", "\x80", "\x9d", "ï»¿", "ÃƒÂ", "n't", "''", "``", "--", "...",
    "|", "_", "%", "$", "cannot ", "'ll ", "\x1b[31m", "\u202e", "，", "、",
]  # fmt: skip
"""What patterns look for, and what nearly is it."""


def long_text(rng: random.Random, length: int = LENGTH) -> str:
    """A text of repeated pieces: one piece or several, in one run, in two runs, or in an endless change of runs."""
    pieces = ["".join(rng.choices(PIECES, k=rng.choice([1, 1, 1, 2, 3]))) for _ in range(3)]
    one, other, third = pieces
    times = lambda piece, size: piece * (size // len(piece) + 1)  # noqa: E731
    run = rng.choice([3, 50, 500])
    return rng.choice([
        lambda: times(one, length),
        lambda: times(one, length) + other,
        lambda: other + times(one, length),
        lambda: times(one, length // 2) + times(other, length // 2),
        lambda: times(one, length // 2) + other + times(third, length // 2),
        lambda: times(times(one, run) + other, length),
        lambda: times(times(one, run) + times(other, run) + third, length),
        lambda: "".join(rng.choices(pieces, k=length // max(map(len, pieces)))),
        lambda: "".join(rng.choices(PIECES, k=length // 3)),
    ])()[: length + 100]  # fmt: skip


def work_on(name: str, seed: str) -> None:
    works()[name](long_text(random.Random(seed)))


FOUND = {
    "rule source-notes": ["\nSource: a" * 20_000, "…" * 200_000 + "source", "(Sour" * 20_000 + "ce: b)" * 20_000],
    "rule html": ["<a b=" + " " * 200_000, "&" + "amp;" * 50_000, "<a" + " " * 200_000, "<<b>b>" * 30_000],
    "rule markers": ["<" * 20_000 + "<s>" + "s>" * 20_000],
    "a title": [" " * 200_000 + "x", "x" + " season" * 30_000, "(" * 100_000, "x" + " -" * 100_000],
    "sentences": ["." * 200_000 + "x", " " * 200_000 + "x", ".)" * 100_000],
    "a final sentence": ["." * 200_000 + "x", ".)" * 100_000 + "x", "." + " " * 200_000 + "x"],
}  # fmt: skip
"""Texts that once took minutes."""


def test_a_long_text_takes_no_longer_than_others_whatever_stands_in_it(zygote, cases):
    """Work on a text of 200,000 characters takes seconds, even on one in which each search starts again and again."""
    draws = [(name, f"{cases.random.random()}") for name in works() for _ in range(5)]
    found = [(name, text) for name, texts in FOUND.items() for text in texts]
    for name, text in cases(draws + found):
        function = "work_on" if (name, text) in draws else "work_on_text"
        ended = zygote.run(
            function=f"hard.test_long_texts:{function}", arguments=[name, text], limits={"CPU": SECONDS}, seconds=60
        )
        cases.saw(f"{name} {text[:60]!r}", ended.problem())


def work_on_text(name: str, text: str) -> None:
    works()[name](text)
