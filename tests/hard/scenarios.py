"""What arasuji writes, each as a scenario: what stands there first, what a process does to it, and what is found then.

The three are run in forks: `zygote.run(function="hard.scenarios:begin", arguments=place.arguments("last"))`, and in the
same way `write` and `look`. `look` opens what is there as a user would, with the product's own functions, and prints
one word, "old" or "new", or what is wrong. Of a file that grows it prints "part" as well.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import matplotlib.figure  # noqa: F401  imported once, before the forks
import torch
from hard.forked import set_all
from leftovers import work_on
from safetensors.torch import load_file

import arasuji.cli
from arasuji import api, files, folders
from arasuji.corpus import SPLITS, Corpus
from arasuji.errors import ArasujiError
from arasuji.evaluation import ask as asking
from arasuji.evaluation import compare as comparing
from arasuji.evaluation.examine import Job, examine
from arasuji.runs import RunDirectory, int8_cache
from arasuji.speech import tell
from arasuji.studio.rooms.ballots import Ballots, Side
from arasuji.studio.rooms.desk import Desk, Kept

TEXTS = 6
BALLAST = "ballast"
"""A file that fills a disk."""
OLD, NEW = "an old text", "a new text"


@dataclass(frozen=True)
class Place:
    """Where a scenario takes place."""

    folder: Path
    """What is written lies in here, and nothing else does."""
    runs: Path
    """The trained runs of the fixture of this name."""
    corpus: Path

    def beside(self, name: str) -> Path:
        """A file or folder that is not part of what is written."""
        return self.folder.parent / name

    def arguments(self, scenario: str) -> list[str]:
        return [scenario, str(self.folder), str(self.runs), str(self.corpus)]


@dataclass(frozen=True)
class Scenario:
    begin: Callable[[Place], object]
    """Makes the old state."""
    write: Callable[[Place], object]
    look: Callable[[Place], str]
    target: str = ""
    """What is written, in the folder; empty where it is more than one thing."""
    needed: bool = True
    """Whether it is an error that nothing can be written. (A cache is done without.)"""


def begin(scenario: str, *place: str) -> None:
    SCENARIOS[scenario].begin(Place(*map(Path, place)))


def write(scenario: str, *place: str) -> None:
    """Writes once. As in a verb, an error is one line and exit code 2."""
    try:
        SCENARIOS[scenario].write(Place(*map(Path, place)))
    except (ArasujiError, OSError) as error:
        tell(f"error: {error}\n")
        sys.exit(2)


def look(scenario: str, *place: str) -> None:
    print(SCENARIOS[scenario].look(Place(*map(Path, place))))


def look_and_go_on(scenario: str, *place: str) -> None:
    """Looks, writes once more, looks again, and prints what was found: a line of JSON."""
    chosen, where = SCENARIOS[scenario], Place(*map(Path, place))
    found = chosen.look(where)
    chosen.write(where)
    print("\n" + json.dumps({"found": found, "then": chosen.look(where), "litter": litter(where.folder)}))


def fill_and_write(pages: int, kept: str, scenario: str, *place: str) -> None:
    """The old state, copied from `kept` onto a disk of its own that has `pages` pages of memory left; then writes. The
    mount is seen by the processes of one namespace alone."""
    folder = Path(place[0])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], check=True)
    shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
    with (folder / BALLAST).open("wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(bytes(2**16)):
                pass
        file.truncate(file.tell() - pages * resource.getpagesize())
    write(scenario, *place)


def empty_and_go_on(scenario: str, *place: str) -> None:
    """`look_and_go_on` after `fill_and_write`, when there is room again; and the disk is taken away."""
    (Path(place[0]) / BALLAST).unlink()
    try:
        look_and_go_on(scenario, *place)
    finally:
        subprocess.run(["umount", "--lazy", place[0]], check=True)


def litter(folder: Path) -> list[str]:
    """What unfinished work has left behind."""
    kinds = ".*.tmp", ".*.new", ".*.old"
    found = [path for kind in kinds for path in folder.rglob(kind)]
    found += [path for path in folder.rglob("*-journal") if path.stat().st_size]  # an empty one says that all is done
    return sorted(str(path.relative_to(folder)) for path in found)


def verb(*words: str | Path) -> None:
    """Run a verb; where it fails, so does the process."""
    sys.argv = ["arasuji", *map(str, words)]
    try:
        arasuji.cli.main()
    except SystemExit as ended:
        if ended.code:
            raise


# A checkpoint, and the best model


def save_last(place: Place, step: int) -> None:
    RunDirectory(place.folder / "run").save_last(
        {"weights": torch.full((3000,), float(step)), "order": torch.arange(500) * step}, {"progress": {"step": step}}
    )


def last(place: Place) -> str:
    found = RunDirectory(place.folder / "run").load_last()
    if found is None:
        return "there is no checkpoint"
    tensors, state = found
    step = state["progress"]["step"]
    whole = bool((tensors["weights"] == step).all()) and torch.equal(tensors["order"], torch.arange(500) * step)
    return {2: "old", 3: "new"}.get(step, f"step {step}") if whole else "a mix"


def killed_between_two_renames(place: Place) -> None:
    """What a process leaves that is killed after it has moved the old checkpoint away, and before the new one is there:
    step 2 is the newest."""
    folder = place.folder / "run" / "last"
    save_last(place, 1)
    aside = folder.rename(folder.with_name("aside"))
    save_last(place, 2)
    folder.rename(work_on(folder, "new"))
    aside.rename(work_on(folder, "old"))


def save_best(place: Place, step: int) -> None:
    run = place.folder / "run"
    run.mkdir(exist_ok=True)
    if not (run / folders.MANIFEST).exists():
        shutil.copy(place.runs / "lstm" / folders.MANIFEST, run)
    trained = api.load(place.runs / "lstm", "fp32")
    with torch.no_grad():
        for parameter in trained.model.parameters():
            parameter.fill_(step / 8)
    directory = RunDirectory(run)
    facts = {"step": step, "bits_per_byte": 2.0}
    directory.save_best(directory.facts.experiment, trained.model, trained.tokenizer, facts)


def best(place: Place) -> str:
    trained = RunDirectory(place.folder / "run").load_best(torch.float32)
    step = trained.facts["step"]
    whole = all(bool((parameter == step / 8).all()) for parameter in trained.model.parameters())
    return {2: "old", 3: "new"}.get(step, f"step {step}") if whole else "a mix"


# A corpus, with the texts that the rules have removed


def begin_corpus(place: Place, explain: bool) -> None:
    """The sources: each has 60 of the starter's texts, of which one stands there twice. The old one is prepared."""
    lines = (resources.files("arasuji.data") / "starter.jsonl").read_text("utf-8").splitlines(keepends=True)
    for name, first in (("old", 0), ("new", 60)):
        place.beside(f"{name}.jsonl").write_text("".join([*lines[first : first + 60], lines[first]]), "utf-8")
    prepare(place, "old", explain)


def prepare(place: Place, name: str, explain: bool) -> None:
    more = ["--explain", place.folder / "removed.jsonl"] if explain else []
    verb("prepare", place.beside(f"{name}.jsonl"), "--out", place.folder / "corpus", *more)


def corpus(place: Place) -> str:
    opened = Corpus.load(place.folder / "corpus")
    documents = sum(1 for name in SPLITS for _ in opened.split(name))
    return Path(opened.sources[0]).stem if documents == 60 else "texts are missing"


def removed(place: Place) -> str:
    """Whose removed text it is; the corpus is whole in any case."""
    if corpus(place) not in ("old", "new"):
        return "the corpus is not whole"
    [row] = [json.loads(line) for line in (place.folder / "removed.jsonl").read_text("utf-8").splitlines()]
    whose = [name for name in ("old", "new") if row["text"] in place.beside(f"{name}.jsonl").read_text("utf-8")]
    return whose[0] if whose else "another text"


# Files that verbs write


def generate(place: Place, out: Path, *more: str) -> None:
    verb("generate", place.runs / "ngram", "After", "-n", str(TEXTS), "--max-length", "12", "--out", out, *more)


def begin_texts(place: Place) -> None:
    """Two texts of a call that was stopped, and beside the folder all that it would have written."""
    whole = place.beside("whole.jsonl")
    generate(place, whole)
    (place.folder / "texts.jsonl").write_bytes(b"".join(whole.read_bytes().splitlines(True)[:2]))


def begin_no_texts(place: Place) -> None:
    generate(place, place.beside("whole.jsonl"))


def write_texts(place: Place) -> None:
    generate(place, place.folder / "texts.jsonl", "--resume")


def texts(place: Place) -> str:
    whole, path = place.beside("whole.jsonl").read_bytes(), place.folder / "texts.jsonl"
    content = path.read_bytes() if path.exists() else b""
    if not whole.startswith(content):
        return "other texts"
    return "new" if content == whole else "part" if len(content.splitlines()) > 2 else "old"


def begin_page(place: Place) -> None:
    """A report, measured without a reader and without processes of its own, which would take long."""
    comparing._readers = lambda names: ([], "nobody reads")
    asking._process = lambda name, job: examine(name, Job(**job))
    two = place.runs / "ngram", place.runs / "lstm"
    with place.beside("report.json").open("w") as file, redirect_stdout(file):
        verb("compare", *two, "--samples", "4", "--documents", "2", "--seeds", "1", "--json")
    (place.folder / "page.html").write_text(OLD)
    shutil.copytree(place.folder, place.beside("page"))
    write_page(replace(place, folder=place.beside("page")))


def write_page(place: Place) -> None:
    verb("compare", "--from", place.beside("report.json"), "--out", place.folder / "page.html")


def page(place: Place) -> str:
    content = (place.folder / "page.html").read_text("utf-8")
    return (
        "old" if content == OLD else "new" if content == place.beside("page/page.html").read_text("utf-8") else "a mix"
    )


def save_sampling(place: Place, temperature: float) -> None:
    run = place.folder / "run"
    run.mkdir(exist_ok=True)
    if not (run / folders.MANIFEST).exists():
        shutil.copy(place.runs / "lstm" / folders.MANIFEST, run)
    RunDirectory(run).save_sampling({"temperature": temperature}, "a comment of some length, " * 100)


def sampling(place: Place) -> str:
    return {2.0: "old", 3.0: "new"}.get(RunDirectory(place.folder / "run").sampling.temperature, "other settings")


# What is made of a run


def begin_export(place: Place) -> None:
    """A run that knows no corpus, so that no figures are measured for its card."""
    run = shutil.copytree(place.runs / "gpt2-mini", place.beside("gpt2-mini"))
    manifest = files.read_json(run / folders.MANIFEST)
    files.write_json(run / folders.MANIFEST, manifest | {"corpus": {"hash": "", "folder": ""}})


def export(place: Place) -> None:
    if not (place.folder / "export").exists():
        verb("export", place.beside("gpt2-mini"), "--to", "hf", "--out", place.folder / "export")


def exported(place: Place) -> str:
    if not (place.folder / "export").exists():
        return "old"
    whole = folders.verified(place.folder / "export", "model.safetensors", "README.md")
    return "new" if whole else "half a folder"


def home(place: Place) -> Path:
    """The user's cache, in the folder."""
    os.environ["ARASUJI_HOME"] = str(place.folder / "home")
    return place.folder / "run" / "best"


def make_int8(place: Place) -> None:
    """It is made anew, since a file of the model has another time."""
    os.utime(home(place) / "config.json")
    RunDirectory(place.folder / "run").load_best(torch.int8)


def begin_int8(place: Place) -> None:
    """A run with an 8-bit form, which is of earlier weights in a copy: its files have other inodes."""
    shutil.copytree(place.runs / "lstm", place.folder / "run")
    make_int8(place)


def int8(place: Place) -> str:
    best = home(place)
    kept = int8_cache.place_of("run", best)
    if not int8_cache.fresh(kept, best):
        return "old"
    RunDirectory(place.folder / "run").load_best(torch.int8)
    return "new"


# The studio's databases


def keep(place: Place, text: str) -> None:
    Desk(place.folder / "desk.sqlite").keep(Kept(text=text))


def desk(place: Place) -> str:
    found = [row["text"] for row in Desk(place.folder / "desk.sqlite").texts()]
    return "old" if found == [OLD] else "new" if found[:2] == [OLD, NEW] else f"{found} are on the desk"


def vote(place: Place) -> None:
    ballots, side = Ballots(place.folder / "arena.sqlite"), Side("run", "mark")
    pair, _ = ballots.draw("read", "hash", {"text": "group"}, side, side)
    ballots.vote(pair, "left")


def arena(place: Place) -> str:
    return {0: "no vote", 1: "old"}.get(len(Ballots(place.folder / "arena.sqlite").votes()), "new")


# A whole training


def train(place: Place, out: Path) -> None:
    small = ["model.hidden=16", "model.embedding=12", "batch_size=4", "tokenizer.size=300", "train.max_length=20"]
    settings = set_all([*small, "checkpoint_steps=2", "validation_documents=2"])
    resume = [] if RunDirectory(out).is_new else ["--resume"]
    verb("train", "lstm", "--corpus", place.corpus, "--out", out, "--max-steps", "4", *settings, *resume)


def begin_training(place: Place) -> None:
    train(place, place.beside("undisturbed"))


def learnt(run: Path) -> list[Any]:
    """What is equal in equal runs: weights, optimizer and generators to the byte, and the log without its clock."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    for line in lines:
        line.pop("seconds", None)
    opened = [folders.open_folder(run / name) for name in ("last", "best")]
    tensors = [load_file(path) for found in opened if found for path in sorted(found[0].glob("*.safetensors"))]
    content = [{n: t.reshape(-1).view(torch.uint8).numpy().tobytes() for n, t in named.items()} for named in tensors]
    return [lines, content]


def trained(place: Place) -> str:
    """The training is resumed, and must end as the undisturbed one beside the folder."""
    train(place, place.folder / "run")
    return (
        "new" if learnt(place.folder / "run") == learnt(place.beside("undisturbed")) else "it has learnt other things"
    )


SCENARIOS = {
    "last": Scenario(lambda place: save_last(place, 2), lambda place: save_last(place, 3), last, "run/last"),
    "last, after a kill": Scenario(killed_between_two_renames, lambda place: save_last(place, 3), last, "run/last"),
    "best": Scenario(lambda place: save_best(place, 2), lambda place: save_best(place, 3), best, "run/best"),
    "corpus": Scenario(
        lambda place: begin_corpus(place, False), lambda place: prepare(place, "new", False), corpus, "corpus"
    ),
    "removed texts": Scenario(
        lambda place: begin_corpus(place, True), lambda place: prepare(place, "new", True), removed, "removed.jsonl"
    ),
    "texts": Scenario(begin_no_texts, write_texts, texts, "texts.jsonl"),
    "more texts": Scenario(begin_texts, write_texts, texts, "texts.jsonl"),
    "page": Scenario(begin_page, write_page, page, "page.html"),
    "sampling": Scenario(
        lambda place: save_sampling(place, 2.0), lambda place: save_sampling(place, 3.0), sampling, "run/sampling.toml"
    ),
    "export": Scenario(begin_export, export, exported, "export"),
    "int8": Scenario(begin_int8, make_int8, int8, needed=False),
    "desk": Scenario(lambda place: keep(place, OLD), lambda place: keep(place, NEW), desk, "desk.sqlite"),
    "arena": Scenario(vote, vote, arena),
    "training": Scenario(begin_training, lambda place: train(place, place.folder / "run"), trained),
}
