"""Folders that a stranger hands over: no code of theirs is run, no other file is read, nothing takes all time."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hard import hostile
from hard.forked import Ended, Zygote
from hard.hostile import BASE, CORPUS, IGNORED, LSTM, REFUSED, RUN, SEARCH, Kind, Place

from arasuji import api

ONE = ["--max-length", "3"]
SECONDS, LONGER = 10, 60
"""What a verb may take that refuses a folder; and one that does its work, since the folder does no harm."""
READS = {"generate", "evaluate", "tune"}
"""The verbs that read all of a folder, and texts with it."""
SEARCHED, TRIALS = "discount=0.2|0.8", 2
"""The options and the number of trials of a search."""
pytestmark = pytest.mark.timeout(1200)
PRESETS = {RUN: "gpt2-mini", LSTM: "lstm"}


def without_network() -> list[str]:
    """The command that runs another one in a namespace without network; none where that is not permitted."""
    command = ["unshare", "--map-root-user", "--net"]
    permitted = shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True).returncode
    return command if permitted else []


@pytest.fixture(scope="module")
def zygote(tmp_path_factory):
    """The process that is forked, without network. It does not know that there is none."""
    folder = tmp_path_factory.mktemp("apart")
    probe = folder / "probe"
    probe.write_text("a text")
    unread(probe)
    probe.read_text()
    if not was_read(probe):
        pytest.skip("this disk does not record when a file is read")
    if not (command := without_network()):
        pytest.skip("this system permits no namespace without network")
    with Zygote(folder, command, HF_HUB_OFFLINE="0") as running:
        yield running


def unread(path: Path) -> None:
    """Let a file count as one that nobody has read, whoever opens it: Python, or a library in another language."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns))


def was_read(path: Path) -> bool:
    return path.stat().st_atime_ns > 0


class Made:
    """A folder of a kind, spoilt, and what the verbs do with it."""

    def __init__(self, kind: Kind, of: str, folder: Path, runs: Path, corpus: Path) -> None:
        self.kind, self.of, self.folder, self.runs, self.corpus = kind, of, folder, runs, corpus
        secret = folder / "secret"
        shutil.copytree(runs / "gpt2-mini" / "best", secret / "weights")
        shutil.copy(secret / "weights" / "tokenizer.json", secret)
        (secret / "diary.txt").write_text(hostile.SECRET)
        self.given = folder / "given" / "it"
        if of in (RUN, LSTM):
            shutil.copytree(runs / PRESETS[of], self.given)
        elif of == BASE:
            shutil.copytree(runs / "gpt2-mini" / "best", self.given)
            (self.given / "manifest.json").unlink()
        elif of == SEARCH:
            api.tune("ngram", corpus, self.given, [SEARCHED], TRIALS)
        else:
            shutil.copytree(corpus, self.given)
        best = self.given / "best" if of in (RUN, LSTM) else self.given
        self.place = Place(best, self.given, secret)
        manifest = best / "manifest.json"
        before = manifest.read_bytes() if manifest.exists() else b""
        kind.make(self.place)
        if before and manifest.is_file() and manifest.read_bytes() == before:
            hostile.seal(best)
        self.before = self.state()
        for path in self.secrets():
            unread(path)

    def secrets(self) -> list[Path]:
        return sorted(path for path in self.place.secret.rglob("*") if path.is_file())

    def state(self) -> dict[str, tuple[bytes, int]]:
        return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in self.secrets()}

    def verbs(self, choose: Callable[[list[list[str]]], list[str]]) -> list[list[str]]:
        """All verbs that read such a folder; where it is not refused, of those that take long one is chosen."""
        it, out, corpus = str(self.given), self.folder / "out", str(self.corpus)
        to = lambda name: ["--corpus", corpus, "--out", str(out / name)]  # noqa: E731
        step = ["--max-steps", "1"]
        if self.of == CORPUS:
            ngram = str(self.runs / "ngram")
            quick = [
                ["inspect", it],
                ["evaluate", ngram, "--corpus", it],
                ["generate", ngram, "After", "--corpus", it, *ONE],
            ]
            long = [["train", "ngram", "--corpus", it, "--out", str(out / "run")]]
        elif self.of == SEARCH:
            asked = ["--set", SEARCHED, "--trials", str(TRIALS)]
            quick, long = [], [["tune", "ngram", "--corpus", corpus, "--out", it, *asked]]
        elif self.of == BASE:
            quick = [["generate", it, "After years", *ONE], ["evaluate", it, "--corpus", corpus]]
            long = [
                ["import", it, *to("imported")],
                ["train", "pretrained-lora", "--set", f"base={it}", *to("tuned"), *step],
            ]
        else:
            name = PRESETS[self.of]
            quick = [
                ["runs", str(self.given.parent)],
                ["generate", it, "After years", *ONE],
                ["evaluate", it, "--corpus", corpus],
                ["average", it, str(self.runs / "gpt2-mini"), *to("mean")],
                ["title", it, "A text."],
            ]
            long = [
                ["export", it, "--to", "hf", *to("exported")],
                ["train", "lstm-distilled", "--set", f"teacher={it}", *to("taught"), *step],
                ["train", name, "--corpus", corpus, "--out", it, "--resume", "--max-steps", "4"],
            ]
        return quick + ([choose(long)] if self.kind.ends == IGNORED else long)

    def problem(self, zygote: Zygote, verbs: list[list[str]]) -> str:
        report = self.folder / "report"
        seconds = LONGER if self.kind.ends == IGNORED else SECONDS
        arguments = [verbs, seconds, str(self.given), str(report)]
        whole = zygote.run(function="hard.watched:run", arguments=arguments, seconds=7 * seconds * len(verbs))
        told = [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
        found = []
        for verb, line in zip(verbs, told, strict=False):
            found += [f"{verb[0]}: {what}" for what in self.wrong(verb, line)]
        if len(told) < len(verbs):
            found.append(f"{verbs[len(told)][0]}: {whole.problem() or 'it ended all'}")
        # A manifest says whether the folder is a corpus.
        if read := [path.name for path in self.secrets() if was_read(path) and path.name != "manifest.json"]:
            found.append(f"the secret was read: {read}")
        if self.state() != self.before:
            found.append("the secret has changed")
        written = (path for path in (self.folder / "out").rglob("*") if path.is_file())
        if any(hostile.SECRET.encode() in path.read_bytes() for path in written):
            found.append("the secret was copied")
        return "; ".join(found)

    def wrong(self, verb: list[str], line: dict) -> list[str]:
        ended = Ended(line["code"], line["out"], line["err"], line["seconds"], 0)
        found = [problem] if (problem := ended.problem()) else []
        seen = [what for what in line["seen"] if not what.startswith("transformers opened")]
        if hostile.SECRET in line["out"] + line["err"]:
            found.append("the secret was shown")
        if seen:
            found.append(f"it did what it must not: {seen[:3]}")
        opens = READS | ({"import", "train", "export", "compare"} if self.kind.ends == REFUSED else set())
        if self.kind.ends != IGNORED and ended.code == 0 and verb[0] in opens and "--resume" not in verb:
            found.append("it was not refused")
        if self.kind.ends == IGNORED and ended.code and verb[0] in READS:
            found.append(f"it was not opened: {ended.err[-300:]}")
        if self.kind.ends == REFUSED and line["seen"] != seen:
            found.append("transformers opened it")
        return found


EVERY = [(kind, of) for kind in hostile.KINDS for of in kind.of]
COMPARED = ("weights_that_are_a_pickle", "code_for_the_model", "shards_above", "a_pipe_beside", "quantized_weights")


def test_a_folder_that_would_run_code_or_take_everything_does_no_harm(zygote, cases, runs, corpus, tmp_path):
    """Models, runs and corpora made to run code, read other files or take all memory are refused, or do no harm."""
    for number, (kind, of) in enumerate(cases(EVERY)):
        made = Made(kind, of, tmp_path / str(number), runs, corpus)
        cases.saw(f"{kind.name} of a {of}", made.problem(zygote, made.verbs(cases.random.choice)))
        shutil.rmtree(tmp_path / str(number))


def test_a_comparison_refuses_such_a_folder_before_it_starts_a_process(zygote, cases, runs, corpus, tmp_path):
    """A comparison refuses a model made to run code before it starts the process that would open it."""
    every = [(kind, of) for kind, of in EVERY if kind.name in COMPARED and of != CORPUS]
    for number, (kind, of) in enumerate(cases(every)):
        made = Made(kind, of, tmp_path / str(number), runs, corpus)
        compare = ["compare", str(made.given), str(runs / "ngram"), "--corpus", str(corpus), "--samples", "1"]
        cases.saw(f"{kind.name} of a {of}", made.problem(zygote, [compare]))
