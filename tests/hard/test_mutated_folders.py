"""Folders that come from elsewhere, one of whose files was changed: a verb does its work, or says in one line why not.

Each is tried as a bad disk leaves it, where the sums tell that a file has changed, and as its author could hand it
over, with every sum right again.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import pytest
from hard.conftest import Cases
from hard.forked import COMPUTES, Ended, Zygote, set_all
from hard.hostile import sums
from hard.mutate import mutated, mutated_json, mutated_json_file, mutated_lines
from hard.tensors import mutated_tensors
from shaped_models import shaped

from arasuji import api
from arasuji.corpus import prepare

Verb = Sequence[str | Path]

MANIFEST = "manifest.json"
FEW = ["validation_documents=4", "batch_size=4", "sampling.max_length=4"]
SHORT = [*FEW, "train.max_length=40"]
LSTM = [*SHORT, "tokenizer.size=400", "model.hidden=16", "model.embedding=16"]
TRAINED = {
    "lstm": ("lstm", LSTM),
    "words": ("lstm-article-fast", [*SHORT, "model.hidden=16", "model.embedding=16", "cutoffs=[50,100]"]),
    "mixture": ("lstm-ngram", LSTM),
    "ngram": ("ngram", [*FEW, "tokenizer.size=400"]),
    "fields": ("lstm-control", [*LSTM, "train.max_length=200"]),
    "gpt2": ("gpt2-mini", [*SHORT, "tokenizer.size=400", "model.layers=1", "model.width=16", "model.heads=2"]),
    "lora": ("pretrained-lora", [*SHORT, "base=base-gpt2"]),
    "lora-2": ("pretrained-lora", [*SHORT, "base=base-gpt2", "seed=2"]),
    "titles": ("pretrained-title", [*FEW, "train.max_length=500", "base=base-llama"]),
    "student": ("lstm-distilled", [*SHORT, "teacher=gpt2", "model.hidden=16", "model.embedding=16", "min_count=2",
                                   "draws=4", "teaching.texts=4"]),
}  # fmt: skip
"""The runs: presets, and settings that make them small."""
STEPS = 3
WRITE = ("After years", "--max-length", "2", "--no-mend")
FAST = ("--precision", "fp32")


@pytest.fixture(scope="session")
def made(bpe, zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each kind, by its name. Not to be changed."""
    from transformers import GPT2Config, LlamaConfig

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("made")
        patch.chdir(folder)
        patch.setenv("ARASUJI_HOME", str(folder / "home"))
        lines = (resources.files("arasuji.data") / "starter.jsonl").read_text("utf-8").splitlines(keepends=True)
        Path("texts.jsonl").write_text("".join(lines[:60]), "utf-8")
        prepare([Path("texts.jsonl")], Path("corpus"))
        llama = LlamaConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=4,
                            num_key_value_heads=2, max_position_embeddings=512)  # fmt: skip
        shaped(GPT2Config(n_positions=64, n_embd=16, n_layer=1, n_head=2), bpe, Path("base-gpt2"))
        shaped(llama, bpe, Path("base-llama"))
        for name, (preset, settings) in TRAINED.items():
            steps = {} if preset == "ngram" else {"max_steps": STEPS}
            list(api.train_events(preset, Path("corpus"), Path(name), settings=settings, **steps))
        (Path("lstm") / "sampling.toml").write_text("temperature = 0.8\ntop_k = 40\ntop_p = 0.9\nmax_length = 4\n")
        api.export("lora", "exported", "hf")
        for name in ("lstm", "words", "gpt2", "base-llama"):  # compiles the loops that a case has no time to compile
            env = {"ARASUJI_HOME": str(folder / f"home-{name}")}
            assert zygote.run(light(folder / name, folder), env=env, seconds=120).code == 0
        assert zygote.run(searched(folder / "search", folder), cwd=folder, seconds=120).code == 0
    return folder


class Stranger:
    """A copy of a folder, one of whose files is changed for each case."""

    def __init__(self, whole: Path, copy: Path) -> None:
        self.whole, self.copy = whole, copy

    def files(self, *patterns: str) -> list[str]:
        """The paths of the files in the folder that fit one of the patterns."""
        found = {path for pattern in patterns for path in self.whole.glob(pattern) if path.is_file()}
        assert found, f"no {patterns} in {self.whole}"
        return sorted(str(path.relative_to(self.whole)) for path in found)

    def change(self, name: str, rng: random.Random, sealed: bool) -> None:
        """Change a file of a new copy; `sealed`: every sum is right again."""
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.whole, self.copy)
        path = self.copy / name
        whole = path.read_bytes()
        path.write_bytes(next(other for _ in range(100) if (other := changed(path.name, whole, rng)) != whole))
        if sealed:
            for manifest in sorted(self.copy.rglob(MANIFEST), reverse=True):
                reseal(manifest)


def changed(name: str, content: bytes, rng: random.Random) -> bytes:
    """The content of a file, changed in a way that keeps what its kind has of structure."""
    if name.endswith(".safetensors"):
        return mutated_tensors(content, rng)
    if name.endswith(".json"):
        return mutated_json_file(content, rng)
    if name.endswith(".jsonl") and content and rng.random() < 0.6:
        lines = content.splitlines()
        place = rng.randrange(len(lines))
        lines[place] = json.dumps(mutated_json(json.loads(lines[place]), rng)).encode()
        return b"\n".join(lines) + b"\n"
    if name.endswith(".toml") and rng.random() < 0.6:
        return mutated_lines(content.decode(), rng).encode("utf-8", "surrogatepass")
    return mutated(content, rng)


def reseal(manifest: Path) -> None:
    """Make the sums of the files right that a manifest lists, where it is one that has sums."""
    folder = manifest.parent
    try:
        content = json.loads(manifest.read_text("utf-8"))
        listed = content["files"]
        files = [path for path in folder.rglob("*") if path.relative_to(folder).as_posix() in listed]
        content["files"] = sums(folder, (path for path in files if path.is_file()))
        manifest.write_text(json.dumps(content), "utf-8")
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # it is the manifest that was changed


@pytest.fixture
def try_each(made: Path, zygote: Zygote, cases: Cases, tmp_path: Path):
    """Change the files of a folder, each in `each` ways of its own, and see how each of the verbs in turn ends."""
    base = cases.random.getrandbits(64)

    def run(
        name: str, patterns: Iterable[str], each: int, *verbs, sealed: bool = True, seen=Ended.problem, home: str = ""
    ) -> None:
        env = {"ARASUJI_HOME": str(tmp_path / "given" / home)} if home else {}
        stranger, out = Stranger(made / name, tmp_path / "given" / name), tmp_path / "out"
        every = [(file, number) for file in stranger.files(*patterns) for number in range(each)]
        for file, number in cases(every):
            stranger.change(file, random.Random(f"{base} {name} {file} {number}"), sealed)
            shutil.rmtree(out, ignore_errors=True)
            verb = verbs[number % len(verbs)](stranger.copy, out)
            cases.saw(f"{name}/{file} {number}: {verb[0]}", seen(zygote.run(verb, cwd=made, env=env, **COMPUTES)))

    return run


def refused(ended: Ended) -> str:
    """What is wrong where a changed folder was not refused."""
    return ended.problem() or ("" if ended.code == 2 else "it was opened")


def light(folder: Path, out: Path) -> Verb:
    return "generate", folder, *WRITE


def whole(folder: Path, out: Path) -> Verb:
    return "generate", folder, *WRITE, *FAST


def scored(folder: Path, out: Path) -> Verb:
    return "evaluate", folder


def resumed(name: str, more: int = 0):
    preset, settings = TRAINED[name]
    steps = [] if preset == "ngram" else ["--max-steps", str(STEPS + more)]
    options = [*steps, *set_all(settings)]
    return lambda folder, out: ("train", preset, "--corpus", "corpus", "--out", folder, "--resume", *options)


def exported(folder: Path, out: Path) -> Verb:
    return "export", folder, "--to", "hf", "--out", out


def brought(folder: Path, out: Path) -> Verb:
    return "import", folder, "--out", out


def averaged(folder: Path, out: Path) -> Verb:
    return "average", "lora", folder, "--out", out


def of_corpus(folder: Path, out: Path) -> Verb:
    return "evaluate", "ngram", "--corpus", folder


def listed(folder: Path, out: Path) -> Verb:
    return "runs", folder


def list_of_all(folder: Path, out: Path) -> Verb:
    return "runs", folder.parent


def titled(folder: Path, out: Path) -> Verb:
    return "title", folder, "After years at sea a keeper comes home.", "-n", "1"


def guarded(folder: Path, out: Path) -> Verb:
    return "generate", "ngram", *WRITE, *FAST, "--corpus", folder, "--no-known-names"


def corpus_trained(folder: Path, out: Path) -> Verb:
    return "train", "ngram", "--corpus", folder, "--out", out, *set_all(TRAINED["ngram"][1])


def inspected(folder: Path, out: Path) -> Verb:
    return "inspect", folder, "--out", out.with_suffix(".html")


def fields_scored(folder: Path, out: Path) -> Verb:
    return "evaluate", "fields", "--corpus", folder, "--shots", "1"


def searched(folder: Path, out: Path) -> Verb:
    settings = set_all([*LSTM, "optimizer=adam|adamw"])
    return "tune", "lstm", "--corpus", "corpus", "--out", folder, "--trials", "1", "--max-steps", "2", *settings


def started(folder: Path, out: Path) -> Verb:
    settings = set_all([*SHORT, f"base={folder}"])
    return "train", "pretrained-lora", "--corpus", "corpus", "--out", out, "--max-steps", "1", *settings


def test_a_file_that_was_changed_after_it_was_sealed_is_refused(try_each):
    """A model, a tokenizer, a checkpoint or a corpus of which a byte has changed on the disk is refused in one line."""
    for name in ("lstm", "words", "mixture", "ngram", "gpt2", "lora"):
        try_each(name, ["best/**/[!m]*", "best/**/model.*"], 8, light, whole, sealed=False, seen=refused)
    for name in ("lstm", "lora"):
        try_each(name, ["last/s*", "tokenizer/t*"], 10, resumed(name), sealed=False, seen=refused)
    try_each("corpus", ["*.jsonl"], 25, of_corpus, sealed=False, seen=refused)


@pytest.mark.parametrize("name", ["lstm", "words", "mixture", "ngram", "fields", "gpt2", "lora"])
def test_a_changed_model_whose_sums_are_right_writes_or_is_refused(try_each, name):
    """A model that someone has changed, and sealed again, writes and is scored, or is refused in one line."""
    try_each(name, ["best/**/*"], 26, light, whole, scored)


def test_a_changed_run_is_listed_with_the_others(try_each, made, tmp_path):
    """A run that is damaged in any way is listed as damaged, and the runs beside it are listed as before."""
    shutil.copytree(made / "ngram", tmp_path / "given" / "ngram")

    def all_listed(ended: Ended) -> str:
        return ended.problem(0) or ("" if " ngram " in ended.out else "the run beside it is not listed")

    for name in ("lstm", "fields", "lora"):
        try_each(name, ["manifest.json", "best/manifest.json"], 35, list_of_all, seen=all_listed)
        try_each(name, ["manifest.json", "best/manifest.json"], 25, listed)


def test_a_changed_manifest_or_setting_of_a_run_is_one_line(try_each):
    """What a run says of itself, and the settings that it writes with, may be anything: they are read, or refused."""
    for name in ("lstm", "fields", "lora"):
        try_each(name, ["manifest.json"], 70, whole, scored, exported, light)
    try_each("lstm", ["sampling.toml"], 100, whole)
    try_each("titles", ["manifest.json", "best/*"], 15, titled)


def test_a_changed_checkpoint_is_continued_or_refused(try_each):
    """A checkpoint, a log or a tokenizer that someone has changed is continued with, or refused in one line."""
    for name in ("lstm", "words", "mixture", "ngram", "gpt2", "lora"):
        try_each(name, ["last/*", "tokenizer/*", "*.json*"], 9, resumed(name), resumed(name, 1))


def test_a_changed_lesson_of_a_teacher_is_continued_or_refused(try_each):
    """What a teacher has written and drawn for its student may be changed: it is read, made again, or refused."""
    try_each("student", ["teacher/*"], 20, resumed("student"), resumed("student", 1))


def test_a_changed_corpus_is_read_or_refused(try_each):
    """A corpus that someone has changed, and sealed again, is scored, trained on, examined, or refused in one line."""
    try_each("corpus", ["*"], 32, of_corpus, corpus_trained)
    try_each("corpus", ["*/*"], 24, guarded)
    try_each("corpus", ["t*.jsonl", "manifest.json"], 24, inspected, fields_scored)


@pytest.mark.parametrize("name", ["base-gpt2", "base-llama"])
def test_a_changed_base_model_is_opened_or_refused(try_each, name):
    """A pretrained model that someone has changed writes, is trained and is imported, or is refused in one line."""
    try_each(name, ["*"], 44, light, whole, started, brought)


def test_a_changed_export_is_imported_or_refused(try_each):
    """A folder that was exported, and changed since, is imported with what is still known of it, or refused."""
    try_each("exported", ["*"], 16, brought, sealed=False)
    try_each("exported", ["*"], 16, brought)


def test_a_changed_run_is_averaged_or_refused(try_each):
    """A run that someone has changed gives a mean with another one, or is refused in one line."""
    try_each("lora-2", ["metrics.jsonl"], 40, averaged)
    try_each("lora-2", ["manifest.json", "best/*"], 8, averaged)


def test_a_changed_search_is_continued_or_refused(try_each):
    """The journal of a search for options may be changed: the search goes on, or is refused in one line."""
    try_each("search", ["journal.jsonl"], 60, searched)


def test_a_changed_8_bit_form_writes_or_is_made_again(try_each):
    """The 8-bit form of a model that is kept in the cache may be changed: it writes, or is one line."""
    for name in ("lstm", "gpt2"):
        kept = f"home-{name}"
        try_each(kept, ["int8/*/*"], 20, lambda folder, out, name=name: light(Path(name), out), home=kept)
