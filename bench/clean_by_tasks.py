"""Cleaning by many tasks beside `prepare`: the same decisions, a task that is killed, and the time of each stage.

    python bench/clean_by_tasks.py [--texts 100000] [--pairs 1000] [--tasks 4] [--workers 2] [--out FILE.json]

The texts are made: 80 words each of 20,000 words that stand for no language. A planted pair is a text and a later one
with 1 to 6 of its words changed (similarity 0.63 or more); as many texts are repeated in capitals, and one in ten has
HTML, a source note or too few words. The second task of the first stage is killed in the middle; then the same pipeline
is started again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

from arasuji.corpus import SPLITS, Corpus, prepare
from arasuji.errors import CorpusError
from arasuji.scale.datatrove import pipeline

WORDS, LONG = 20_000, 80
"""There are so many different words, and so many stand in a text."""


def made(texts: int, pairs: int, chance: random.Random) -> tuple[list[str], list[str], list[tuple[int, int]]]:
    """Texts, a title for each, and the places of each planted pair."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(WORDS)]
    found = [chance.choices(words, k=LONG) for _ in range(texts - 2 * pairs)]
    copied = chance.sample(range(len(found)), 2 * pairs)
    planted = []
    for place in copied[:pairs]:
        other = list(found[place])
        for changed in chance.sample(range(LONG), chance.randint(1, 6)):
            other[changed] = chance.choice(words)
        planted.append((place, len(found)))
        found.append(other)
    written = [" ".join(text) for text in found] + [" ".join(found[place]).upper() for place in copied[pairs:]]
    safe = {place for pair in planted for place in pair} | set(copied)
    for place in chance.sample(sorted(set(range(len(written))) - safe), texts // 10):
        dirty = (f"<p>{written[place]}</p>", f"{written[place]} (Source: somewhere)", written[place][:20])
        written[place] = chance.choice(dirty)
    titles = [" ".join(chance.choices(words, k=2)) for _ in written]
    return written, titles, planted


def kill(part: Path, size: int) -> None:
    """Kill the process that writes this part once it has written so many bytes: its folder is named by its number."""
    while True:
        for file in part.parent.glob(f".{part.name}.*.new/texts.jsonl"):
            if file.stat().st_size >= size:
                os.kill(int(file.parent.name.split("-")[-2]), signal.SIGKILL)
                return
        time.sleep(0.01)


def measured(sources: list[Path], folder: Path, options: argparse.Namespace) -> dict[str, float | str]:
    """Both ways: seconds, and the message that names the killed task; the corpora are left in the folder."""
    began = time.perf_counter()
    prepare(sources, folder / "prepared")
    seconds: dict[str, float | str] = {"prepare": time.perf_counter() - began}
    stages = pipeline(sources, folder / "piped", folder / "work", tasks=options.tasks, workers=options.workers)
    killer = threading.Thread(target=kill, args=(folder / "work/1-texts/00001", sources[1].stat().st_size // 2))
    killer.start()
    began = time.perf_counter()
    try:
        stages[0].run()
    except CorpusError as error:
        seconds["refused with"] = str(error)
    killer.join()
    seconds["first start"] = time.perf_counter() - began
    assert not (folder / "piped").exists()
    stages = pipeline(sources, folder / "piped", folder / "work", tasks=options.tasks, workers=options.workers)
    for stage in stages:
        began = time.perf_counter()
        stage.depends = None  # it has been run
        stage.run()
        seconds[Path(stage.logging_dir.path).name] = time.perf_counter() - began
    return seconds


def decisions(corpus: Corpus) -> dict[str, str]:
    """In which split each text is that was kept, by its number."""
    return {record.id: name for name in SPLITS for record in corpus.split(name)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    chance = random.Random(0)
    folder = Path(tempfile.mkdtemp())
    texts, titles, planted = made(options.texts, options.pairs, chance)
    order = chance.sample(range(len(texts)), len(texts))
    sources = []
    for task in range(options.tasks):
        part = order[len(order) * task // options.tasks : len(order) * (task + 1) // options.tasks]
        sources.append(folder / f"texts-{task}.jsonl")
        lines = (json.dumps({"id": str(n), "title": titles[n], "text": texts[n]}) + "\n" for n in part)
        sources[-1].write_text("".join(lines), "utf-8")
    seconds = measured(sources, folder, options)
    prepared, piped = Corpus.load(folder / "prepared"), Corpus.load(folder / "piped")
    one, other = decisions(prepared), decisions(piped)
    kept, removed = len(other), sum(count.removed for count in piped.rules)
    report = {
        "texts": options.texts,
        "seconds": seconds,
        "same decisions": sum(one.get(str(n)) == other.get(str(n)) for n in range(len(texts))) / len(texts),
        "same hash": prepared.hash == piped.hash,
        "recall": sum(not (str(a) in other and str(b) in other) for a, b in planted) / len(planted),
        "removed of other texts": sum(count.removed for count in piped.rules if count.rule == "near-duplicates")
        - options.pairs,
        "in": piped.rules[0].left,
        "kept": kept,
        "removed": removed,
        "work folder, bytes": sum(path.stat().st_size for path in (folder / "work").rglob("*") if path.is_file()),
    }
    assert report["in"] == kept + removed == len(texts)
    shutil.rmtree(folder)
    for name, value in {**report, **seconds}.items():
        if name != "seconds":
            print(f"{name:24} {value:,.4g}" if isinstance(value, float) else f"{name:24} {value}")
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
