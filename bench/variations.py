"""What `generate --variations` keeps of a text, beside a plain continuation of its first sentence.

    python bench/variations.py RUN... [--texts 100]

For held-out texts of 40 to 120 words: the share of the long words after the first sentence that the new text has too,
the most words in a row that both share after it, and how many new texts are as long as was asked. Text i has seed i.
"""

from __future__ import annotations

import argparse
import statistics
from itertools import islice
from pathlib import Path

from turns import processor

from arasuji import api
from arasuji.corpus import Corpus
from arasuji.corpus.script import count_words, words_of
from arasuji.generation.echo import LETTERS

SHORTEST, LONGEST = 40, 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--texts", type=int, default=100)
    chosen = parser.parse_args()
    print(processor())
    for run in chosen.runs:
        model = api.load(run)
        corpus = Corpus.load(Path(model.facts["corpus"]["folder"]))
        fitting = (record.text for record in corpus.test if SHORTEST <= count_words(record.text) <= LONGEST)
        rows: dict[str, list[tuple[float, int, bool]]] = {"variation": [], "continuation": []}
        for seed, text in enumerate(islice(fitting, chosen.texts)):
            prompt, wishes = api.variation_of(text)
            for name, asked in (("variation", wishes), ("continuation", api.Wishes())):
                (sample,) = api.generate(model, prompt, seed=seed, wishes=asked)
                rows[name].append(_kept(prompt, text, sample.text, wishes))
        for name, found in rows.items():
            shares, longest, fits = zip(*found, strict=True)
            print(
                f"{model.name}, {name}: {100 * statistics.mean(shares):.1f} % of the long words, at most "
                f"{max(longest)} words in a row, {sum(fits)} of {len(fits)} as long as asked"
            )


def _kept(prompt: str, text: str, new: str, wishes: api.Wishes) -> tuple[float, int, bool]:
    """The share of long words kept, the most words in a row, and whether the length is the one that was asked for."""
    before = len(words_of(prompt))
    old, made = words_of(text)[before:], words_of(new)[before:]
    long = {word for word in old if len(word) >= LETTERS}
    assert wishes.words is not None
    low, high = wishes.words
    return len(long.intersection(made)) / max(1, len(long)), _in_a_row(old, made), low <= count_words(new) <= high


def _in_a_row(a: list[str], b: list[str]) -> int:
    """The length of the longest sequence that stands in both."""
    best, ends = 0, [0] * (len(b) + 1)
    for word in a:
        ends = [0] + [before + 1 if word == other else 0 for before, other in zip(ends, b, strict=False)]
        best = max(best, *ends)
    return best


if __name__ == "__main__":
    main()
