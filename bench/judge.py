"""Whether the judge of texts puts in order what is known to be in order: texts that are disturbed more and more.

    python bench/judge.py CORPUS [--texts 600] [--words 47] [--reader smollm2-135m] [--out FILE.json]

Real texts of the held-out splits, and of the training split where these are too few, are told from others: as real, or
with names, sentences or words that do not belong there (`tests/disturbed.py`). Twenty permutations of the labels of the
real texts give the null.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from disturbed import DISTURBED

from arasuji.corpus import Corpus
from arasuji.corpus.script import words_of
from arasuji.evaluation.judge import cross_judged, judge, of_rows, rows_of
from arasuji.evaluation.reader import Reader
from arasuji.evaluation.texts import Texts

PERMUTATIONS = 20


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("corpus")
    asked.add_argument("--texts", type=int, default=600)
    asked.add_argument("--words", type=int, default=47)
    asked.add_argument("--reader", default="smollm2-135m")
    asked.add_argument("--out", type=Path)
    said = asked.parse_args()
    corpus, rng, reader = Corpus.load(said.corpus), random.Random(0), Reader(said.reader)
    held_out = [*corpus.test, *corpus.validation]
    rng.shuffle(held_out)
    training = (corpus.train[i] for i in rng.sample(range(len(corpus.train)), len(corpus.train)))
    records = []
    for record in (record for some in (held_out, training) for record in some):
        if len(words_of(record.text)) >= said.words + 20 and len(records) < 2 * said.texts:
            records.append(record)
    groups = [record.group for record in records]
    texts = [record.text for record in records]
    real = Texts(texts[: said.texts], groups[: said.texts])
    others = texts[said.texts :]
    sets = {"real texts": others} | {name: disturb(others, random.Random(1)) for name, disturb in DISTURBED.items()}
    found = {}
    for name, made in sets.items():
        began = time.perf_counter()
        judged = judge(Texts(made, groups[said.texts :]), real, said.words, reader)
        assert judged is not None
        found[name] = judged.model_dump(exclude={"telling"}) | {"seconds": time.perf_counter() - began}
        print(
            f"{name:32} {judged.accuracy:6.1%} {judged.low:.1%} to {judged.high:.1%}  AUROC {judged.auroc:.3f}  "
            f"no surprisal {judged.without_surprisal.accuracy:.1%}  words {judged.words_accuracy:.1%}  "
            f"{judged.texts} texts, {found[name]['seconds']:.0f} s",
            flush=True,
        )
    cut = [c.text.strip() for some in (Texts(others, groups[said.texts :]), real) for c in some.rounds(said.words)[0]]
    half = len(cut) // 2
    rows = np.vstack([rows_of(reader, some) for some in (cut[:half], cut[half:])])
    owners = np.array([*groups[said.texts :], *groups[: said.texts]])
    null = []
    for seed in range(PERMUTATIONS):
        truth = np.random.default_rng(seed).permutation(np.arange(len(rows)) < half)
        scores, _ = cross_judged(of_rows(rows), rows, truth, owners)
        null.append(float(np.mean((scores > 0) == truth)))
    found["permutations"] = null
    print(f"{PERMUTATIONS} permutations: {statistics.fmean(null):.1%}, {min(null):.1%} to {max(null):.1%}")
    if said.out:
        said.out.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
