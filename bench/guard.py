"""What the guard against copies costs: the time of each token with it over that without it, of 1, 8 and 32 texts.

    python bench/guard.py RUN... [--rounds 15] [--tokens 100]

Four ways take turns, so that they meet the same machine: texts alone; with a report of what of them is copied; with the
guard as well; and with mended quotes, doubled words and ends besides. The ratios are those of medians, and the range is
that of the odd and the even rounds. All texts have the same length: their end is forbidden. To open the index of the
training split takes a fraction of a second, once, and is not counted.
"""

from __future__ import annotations

import argparse
import statistics
import time

from turns import processor

from arasuji import api
from arasuji.writing import LONGEST_COPY

WAYS = ("plain", "reported", "guarded", "mended")


def seconds(model: api.TrainedModel, texts: int, tokens: int, seed: int, way: str) -> float:
    """The seconds that each token of some texts takes."""
    settings = model.sampling.model_copy(update={"min_length": tokens, "max_length": tokens})
    corpus = None if way == "plain" else model.facts["corpus"]["folder"]
    longest = LONGEST_COPY if way in ("guarded", "mended") else None
    asked = {"longest_copy": longest, "redraw": 0, "corpus": corpus, "wishes": api.Wishes(mended=way == "mended")}
    began = time.perf_counter()
    written = list(api.generate(model, "", texts, seed, settings, **asked))
    return (time.perf_counter() - began) / sum(sample.tokens for sample in written)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--tokens", type=int, default=100)
    chosen = parser.parse_args()
    print(processor())
    for run in chosen.runs:
        model = api.load(run)
        for texts in (1, 8, 32):
            taken: dict[str, list[float]] = {way: [] for way in WAYS}
            for turn in range(chosen.rounds + 1):
                for way in WAYS[turn % 4 :] + WAYS[: turn % 4]:
                    took = seconds(model, texts, chosen.tokens, turn * texts, way)
                    if turn:  # the first one is a warm-up
                        taken[way].append(took)
            print(f"{run}, {texts} texts, {1 / statistics.median(taken['plain']):,.0f} tokens/s:", end="")
            for name, way, before in (
                ("guard", "guarded", "reported"),
                ("report", "reported", "plain"),
                ("mends", "mended", "guarded"),
            ):
                costs = [
                    _cost(taken[way][part], taken[before][part])
                    for part in (slice(None), slice(0, None, 2), slice(1, None, 2))
                ]
                print(f"  {name} {costs[0]:+.1%} ({min(costs[1:]):+.1%} to {max(costs[1:]):+.1%})", end="")
            print()


def _cost(taken: list[float], before: list[float]) -> float:
    return statistics.median(taken) / statistics.median(before) - 1


if __name__ == "__main__":
    main()
