"""Whether the judge of texts agrees with a reader: pairs of a written and a real text, told blind.

    python bench/blind_pairs.py ask RUN CORPUS FOLDER [--pairs 40]   # writes pairs.txt and key.json
    python bench/blind_pairs.py tell FOLDER ABBA...                  # for each pair the letter of the written text

A pair is the beginning of a test text and two ways in which it goes on, that of the run and the real one, cut to the
same number of words. They are texts of `arasuji compare RUN` with its defaults; the judge learns as that of its report
does, from all that are long enough.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import numpy as np

from arasuji.corpus import Corpus
from arasuji.evaluation.ask import ask
from arasuji.evaluation.compare import READER
from arasuji.evaluation.judge import cross_judged, of_rows, rows_of
from arasuji.evaluation.reader import Reader
from arasuji.evaluation.task import Task, task_of
from arasuji.evaluation.texts import Cut, Texts

LETTERS = "AB"


def both(written: Texts, task: Task) -> list[tuple[str, Cut, Cut]]:
    """The prompts whose written and real text are long enough, with both."""
    found = []
    for i, group in enumerate(task.real.groups):
        (of_run,) = Texts(written.texts[i : i + 1], [group]).rounds(task.words)
        (real,) = Texts(task.real.texts[i : i + 1], [group]).rounds(task.words)
        if of_run and real:
            found.append((task.job.prompts[i], of_run[0], real[0]))
    return found


def write_pairs(run: str, corpus: Path, folder: Path, pairs: int) -> None:
    task = task_of(corpus, Corpus.load(corpus), samples=200, seeds=3, documents=250, seed=0)
    answer, _ = ask(run, task.job, lambda what, done, total: None)
    written = Texts([sample.text for sample in answer.samples], task.real.groups)
    chosen = random.Random(0).sample(both(written, task), pairs)

    # The judge learns from all texts, and is asked of those whose group it has not learnt from.
    made = [cut for cuts in written.rounds(task.words) for cut in cuts]
    real = [cut for cuts in task.pool.rounds(task.words) for cut in cuts][: max(len(made), len(task.real.groups))]
    texts, groups = [cut.text.strip() for cut in (*made, *real)], [cut.group for cut in (*made, *real)]
    rows, truth = rows_of(Reader(READER), texts), np.arange(len(texts)) < len(made)
    scores, _ = cross_judged(of_rows(rows), rows, truth, np.array(groups))
    log_odds = dict(zip(texts, scores.tolist(), strict=True))

    rng, lines, key = random.Random(1), [], []
    for number, (prompt, own, other) in enumerate(chosen, start=1):
        sides = [own.text.strip(), other.text.strip()]
        place = rng.randrange(2)  # of the written text
        shown = sides if place == 0 else sides[::-1]
        lines.append(
            f"{number}. {prompt} ...\n" + "".join(f"  {a}  {t}\n" for a, t in zip(LETTERS, shown, strict=True))
        )
        judge = LETTERS[place if log_odds[sides[0]] > log_odds[sides[1]] else 1 - place]
        key.append({"written": LETTERS[place], "judge": judge})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pairs.txt").write_text("\n".join(lines), "utf-8")
    (folder / "key.json").write_text(json.dumps(key), "utf-8")


def tell(folder: Path, answers: str) -> None:
    key = json.loads((folder / "key.json").read_text("utf-8"))
    if len(answers) != len(key) or set(answers) - set(LETTERS):
        raise SystemExit(f"{len(key)} letters are needed, each A or B")
    reader = [answer == pair["written"] for answer, pair in zip(answers, key, strict=True)]
    judge = [pair["judge"] == pair["written"] for pair in key]
    both_wrong = sum(not a and not b for a, b in zip(reader, judge, strict=True))
    print(f"{len(key)} pairs: the reader is right in {sum(reader)}, the judge in {sum(judge)}")
    print(f"they agree in {sum(a == b for a, b in zip(reader, judge, strict=True))}, both wrong in {both_wrong}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    asked = verbs.add_parser("ask")
    asked.add_argument("run")
    asked.add_argument("corpus", type=Path)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--pairs", type=int, default=40)
    asked.set_defaults(do=lambda said: write_pairs(said.run, said.corpus, said.folder, said.pairs))
    told = verbs.add_parser("tell")
    told.add_argument("folder", type=Path)
    told.add_argument("answers")
    told.set_defaults(do=lambda said: tell(said.folder, said.answers))
    said = parser.parse_args()
    said.do(said)


if __name__ == "__main__":
    main()
