"""How well runs obey that are told genres, and how the judge sees their texts, with several strengths of guidance.

    python bench/obedience.py RUN... [--guidance 1 1.5 2 3] [--temperature 1] [--texts 300]

Each run writes texts for the genres of held-out texts and is told nothing else (top-p 0.95, without guard and mends).
Lifts are those of `arasuji.evaluation.obedience`, in texts cut to 47 words; the judge tells 200 of the texts that have
40 words from as many training texts.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import islice
from pathlib import Path

from turns import processor

from arasuji import api
from arasuji.corpus import Corpus
from arasuji.evaluation.genres import Labelled
from arasuji.evaluation.judge import judge
from arasuji.evaluation.obedience import obedience_in
from arasuji.evaluation.reader import Reader
from arasuji.evaluation.task import labelled
from arasuji.evaluation.texts import Texts

SETTINGS = {"top_p": 0.95, "top_k": 0, "max_length": 120}
WORDS, JUDGED_WORDS, JUDGED = 47, 40, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--guidance", nargs="+", type=float, default=[1.0, 1.5, 2.0, 3.0])
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--texts", type=int, default=300)
    chosen = parser.parse_args()
    print(processor())
    models = [api.load(run) for run in chosen.runs]
    corpus = Corpus.load(Path(models[0].facts["corpus"]["folder"]))
    reader = Reader("smollm2-135m")
    told = [*islice(labelled((corpus.test, corpus.validation), 0), chosen.texts)]
    pool = [*islice(labelled((corpus.train,), 5), 2 * JUDGED)]
    real = Texts([record.text for record in pool], [record.group for record in pool])
    asked = [{"genres": record.metadata["genres"]} for record in told]
    groups = [record.group for record in told]
    names, sets = [], []
    for model in models:
        for guidance in chosen.guidance:
            settings = SETTINGS | {"temperature": chosen.temperature, "guidance": guidance}
            free = api.Wishes(mended=False)
            samples = api.generate(model, asked, sampling=settings, longest_copy=None, wishes=free)
            texts = [sample.text for sample in samples]
            names.append(f"{model.name}, guidance {guidance:g}")
            sets.append(Labelled.of(replace(record, text=text) for record, text in zip(told, texts, strict=True)))
            if found := judge(Texts(texts, groups), real, JUDGED_WORDS, reader, JUDGED):
                print(f"{names[-1]}: judge's AUROC {found.auroc:.3f} ({found.auroc_low:.3f} to {found.auroc_high:.3f})")
    measured = obedience_in(corpus, sets, WORDS, reader, 0, lambda what, done, total: None)
    if measured is None:
        raise SystemExit("no genre counts")
    print(f"{len(measured.genres)} genres; real texts: median lift {measured.real.lift:.3f}, ", end="")
    print(f"{measured.real.low:.3f} to {measured.real.high:.3f}, {measured.real.times:.1f} times")
    for name, own in zip(names, measured.written, strict=True):
        times = "" if own.times is None else f", {own.times:.1f} times"
        print(f"{name}: {own.lift:.3f}, {own.low:.3f} to {own.high:.3f}{times}; {own.of_real:.0%} of the real one")


if __name__ == "__main__":
    main()
