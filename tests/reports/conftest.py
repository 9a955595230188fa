"""An inspection as a real collection would give it; all texts are invented."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from arasuji.inspection import (
    Beyond,
    Cluster,
    Duplicates,
    Finding,
    Inspection,
    Outlook,
    Phrase,
    Stage,
    Vocabulary,
)

FACTS = {
    "command": "arasuji inspect anime.csv --html anime.html",
    "seed": 7,
    "versions": {"arasuji": "0.1.0", "python": "3.12.4", "polars": "2.1.0"},
}
GENRES = (
    *("Comedy", "Action", "Fantasy", "Adventure", "Drama", "Sci-Fi", "Romance", "School", "Slice of Life", "Mecha"),
    *("Supernatural", "Shounen", "Magic", "Historical", "Mystery", "Kids", "Super Power", "Military", "Music"),
    *("Psychological Thriller", "Sports", "Parody", "日常と学園の物語", "Space", "Horror", "Demons"),
)


def stage(documents: int, empty: int, median: int, genres: bool = True) -> Stage:
    """A stage of so many documents whose lengths rise steeply and fall slowly."""
    shape = [round(1000 * (i + 0.4) * 0.68**i) for i in range(21)]
    lengths = [(20 * i, documents * height // sum(shape)) for i, height in enumerate(shape)]
    places = {
        "0": 0 if empty else 10,
        "5": 12,
        "25": median // 2,
        "50": median,
        "75": 2 * median,
        "95": 190,
        "100": 400,
    }
    return Stage(
        documents=documents,
        words=documents * 71,
        bytes=documents * 433,
        empty=empty,
        quantiles=places,
        lengths=lengths,
        genres={name: max(1, round(documents * 0.31 * 0.86**i)) for i, name in enumerate(GENRES)} if genres else {},
        years={year: 9 + (year - 1960) ** 2 * documents // 90_000 for year in range(1960, 2027)} if genres else {},
        languages={"en": documents - 64, "?": 41, "es": 12, "ja": 11},
    )


@pytest.fixture
def inspection() -> Inspection:
    return example()


@pytest.fixture
def facts():
    return FACTS


def example() -> Inspection:
    found, prepared = stage(25_865, 1_204, 57), stage(16_937, 0, 74)
    words = [50_000 * i for i in range(1, 25)]
    return Inspection(
        sources=["collections/anime.csv"],
        rules="default",
        found=found,
        prepared=replace(prepared, genres=dict(list(prepared.genres.items())[:-1])),
        duplicates=Duplicates(
            exact=1_187,
            near=345,
            groups=11,
            clusters=[
                Cluster(
                    38,
                    ["The Lamp of Hoshigaura", "The Lamp of Hoshigaura: Second Tide", ""],
                    [
                        "A lighthouse keeper's daughter finds that the lamp burns only for ships that never were.",
                        "A lighthouse keeper's daughter learns that the lamp burns only for ships that never were. …",
                        "A lighthouse keeper's daughter finds, that the lamp burns only for ships that never were.",
                    ],
                ),
                Cluster(
                    12,
                    ["灯台の歌", "مصباح الميناء"],
                    [
                        "港町の灯台守の娘は、灯りが存在しなかった船のためだけに燃えることを知る。",
                        "تكتشف ابنة حارس المنارة أن المصباح لا يضيء إلا لسفن لم تكن موجودة قط.",
                    ],
                ),
                *(
                    Cluster(24 - i, [f"Paper Comet {i}"], [f"Class {i} folds a comet out of paper, and it comes back."])
                    for i in range(14, 23)
                ),
            ],
        ),
        boilerplate=[
            Phrase("the story is set in a small town by the sea where", 214),
            Phrase("based on the light novel of the same name", 131),
            Phrase("written by a reader", 58),
        ],
        vocabulary=Vocabulary(
            words=1_204_331,
            different=43_118,
            once=19_870,
            growth=[(word, round(9.1 * word**0.605)) for word in words],
            unknown_rate=0.0312,
        ),
        tokenizers=[
            Beyond("word", 1_391_226, 5.27, 16_937, {64: 0.71, 128: 0.288, 256: 0.061, 512: 0.0018, 1024: 0.0}),
            Beyond("bpe", 1_742_008, 4.21, 16_937, {64: 0.79, 128: 0.402, 256: 0.117, 512: 0.0094, 1024: 0.0001}),
            Beyond("gpt2", 1_690_455, 4.34, 10_000, {64: 0.78, 128: 0.391, 256: 0.109, 512: 0.0083, 1024: 0.0}),
        ],
        leakage=0.0123,
        removals=[
            {"rule": "all", "removed": 0, "changed": 0, "left": 25_865},
            {"rule": "genres", "removed": 1_402, "changed": 0, "left": 24_463},
            {"rule": "html", "removed": 0, "changed": 211, "left": 24_463},
            {"rule": "whitespace", "removed": 0, "changed": 9_806, "left": 24_463},
            {"rule": "source-notes", "removed": 0, "changed": 11_730, "left": 24_463},
            {"rule": "placeholders", "removed": 2_377, "changed": 0, "left": 22_086},
            {"rule": "words", "removed": 3_617, "changed": 0, "left": 18_469},
            {"rule": "duplicates", "removed": 1_187, "changed": 0, "left": 17_282},
            {"rule": "near-duplicates", "removed": 345, "changed": 0, "left": 16_937},
        ],
        findings=[
            Finding("texts shorter than 10 words", 3_617, "words"),
            Finding("texts that only say that there is none", 2_377, "placeholders"),
            Finding("texts without a word", 1_204, ""),
            Finding("texts that repeat an earlier one exactly", 1_187, "duplicates"),
            Finding("texts nearly the same as an earlier one", 345, "near-duplicates"),
            Finding("texts with the remains of HTML", 211, "html"),
        ],
        outlook=[
            Outlook("lstm-small", 1.98, 21),
            Outlook("gpt2-mini", 1.87, 64),
            Outlook("pretrained-lora", 1.32, 182.5),
            Outlook("ngram", 2.31, 0.4),
        ],
        verdict=[
            "There is enough text for every preset: 16,937 documents remain after the rules.",
            "Expect about 1.3 bits per byte from pretrained-lora, and 2.0 from lstm-small in 21 minutes.",
            "First, look at the 345 texts that are nearly the same as another: the rule near-duplicates removes them.",
        ],
        hash="3f9a1c0d52e877b4",
    )


def nothing_but(documents: int) -> Inspection:
    """What is left to say of a corpus folder where there is nothing to say."""
    stage = Stage(documents, 12, 80, 0, dict.fromkeys(("0", "25", "50", "100"), 12), [(0, documents)], {}, {}, {})
    vocabulary = Vocabulary(12, 11, 10, [], 0.0)
    return Inspection(
        ["a.txt"], "", stage, stage, Duplicates(0, 0, 0, []), [], vocabulary, [], 0.0, [], [], [], ["Too little."], "00"
    )


class Reader(HTMLParser):
    """What a browser would find in a page; fails where elements are not closed in the order they were opened."""

    VOID = frozenset(("br", "hr", "img", "input", "link", "meta"))

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="session")
def read():
    return Reader


@pytest.fixture
def empty() -> Inspection:
    return nothing_but(1)
