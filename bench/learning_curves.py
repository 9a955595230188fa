"""How well each preset does on how much text: the curves behind the verdict of `arasuji inspect`.

    python bench/learning_curves.py CORPUS [--out FILE.json] [--work DIR]

CORPUS is a prepared corpus. Its training split is cut to so many documents, franchise by franchise in a seeded order;
validation and test stay what they are. A preset reads at most its budget of tokens, so its schedule is the same on any
machine, and stops early where validation stands still. Scored on 250 documents of the test split, best checkpoint, one
run each, seed 0: a curve shows what to expect of an amount of text, not which of two close presets is better.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import shutil
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from arasuji import api
from arasuji.corpus import KIND, SPLITS, Corpus, Record, Records
from arasuji.corpus.script import count_words
from arasuji.files import write_json
from arasuji.folders import new_folder, seal
from arasuji.training.events import Started

SIZES = {
    "ngram": (100, 300, 1000, 3000, 10_000),
    "lstm-small": (300, 1000, 10_000),
    "gpt2-mini": (1000, 10_000),
    "pretrained-lora": (100, 10_000),
}
BUDGETS = {"ngram": None, "lstm-small": 6_500_000, "gpt2-mini": 5_000_000, "pretrained-lora": 350_000}
"""Tokens that are read at most: seven or eight minutes on two cores."""
SETTINGS = {"lstm-small": ["validation_documents=100"], "gpt2-mini": ["validation_documents=60"]}
SETTINGS["pretrained-lora"] = ["base=smollm2-135m", "validation_documents=40"]
SCORED = 250


def subset(corpus: Corpus, documents: int, folder: Path) -> int:
    """A corpus with so much of the training split, written to `folder`; its words are returned."""
    groups = sorted({record.group for record in corpus.train})
    random.Random(0).shuffle(groups)
    rank = {group: place for place, group in enumerate(groups)}
    chosen = sorted(corpus.train, key=lambda record: rank[record.group])[:documents]
    with new_folder(folder) as fresh:
        splits: dict[str, list[Record] | Records] = {
            "train": chosen,
            "validation": corpus.validation,
            "test": corpus.test,
        }
        for name in SPLITS:
            Records.write(fresh / f"{name}.jsonl", splits[name])
        counts = [asdict(count) for count in corpus.rules]
        facts = {"kind": KIND, "hash": f"{corpus.hash}/{documents}", "seed": 0, "rules": counts, "notes": []}
        seal(fresh, facts)
    return round(sum(count_words(record.text) for record in chosen))


def steps(preset: str, corpus: Path, out: Path) -> int | None:
    """The optimizer steps that the preset's budget pays for."""
    budget = BUDGETS[preset]
    if budget is None:
        return None
    for event in api.train_events(api.experiment(preset, SETTINGS.get(preset, [])), corpus, out):
        if isinstance(event, Started):
            break
    shutil.rmtree(out)
    return max(1, budget * event.plan.steps_per_epoch // event.plan.tokens_per_epoch)


def point(preset: str, documents: int, corpus: Corpus, work: Path) -> dict[str, float]:
    """Train a preset on so many documents, and score it."""
    folder, out = work / f"corpus-{documents}", work / f"{preset}-{documents}"
    words = subset(corpus, documents, folder)
    limit = steps(preset, folder, out)
    began = time.perf_counter()
    chosen = api.experiment(preset, SETTINGS.get(preset, []))
    for _ in api.train_events(chosen, folder, out, max_steps=limit):
        pass
    minutes = (time.perf_counter() - began) / 60
    step = max(1, len(corpus.test) // SCORED)
    score = api.evaluate(api.load(out, "auto"), [record.text for record in corpus.test[::step]][:SCORED])
    low, high = score.interval() or (math.nan, math.nan)
    shutil.rmtree(out)
    return {
        "documents": documents,
        "words": words,
        "bits_per_byte": round(score.bits_per_byte, 3),
        "low": round(low, 3),
        "high": round(high, 3),
        "minutes": round(minutes, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/arasuji/inspection/curves.json"))
    parser.add_argument("--presets", nargs="*", choices=SIZES, default=list(SIZES))
    chosen = parser.parse_args()
    corpus = Corpus.load(chosen.corpus)
    report = json.loads(chosen.out.read_text("utf-8")) if chosen.out.exists() else {"curves": {}}
    names = ("arasuji", "torch", "transformers", "peft")
    report["seed"] = 0
    report["versions"] = {name: version(name) for name in names}
    for preset in chosen.presets:
        report["curves"][preset] = []
        report.setdefault("corpus", {})[preset] = corpus.hash
        for documents in SIZES[preset]:
            with tempfile.TemporaryDirectory() as work:
                report["curves"][preset].append(point(preset, documents, corpus, Path(work)))
            print(preset, json.dumps(report["curves"][preset][-1]), flush=True)
            write_json(chosen.out, report)


if __name__ == "__main__":
    main()
