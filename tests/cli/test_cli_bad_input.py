"""Bad input: one clear line on stderr that names the culprit, exit code 2, no traceback, nothing half-written."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from arasuji import folders


class Desk:
    """A folder to work in, with a corpus and runs that may be spoilt, and a way to make bad sources."""

    def __init__(self, folder: Path, starter: Path, corpus: Path, run: Path, short_sighted: Path) -> None:
        self.folder = folder
        self.starter = starter
        self._whole = {"corpus": corpus, "run": run, "short-sighted": short_sighted}

    def take(self, name: str) -> Path:
        """A copy of the corpus or of a run."""
        return Path(shutil.copytree(self._whole[name], self.folder / name))

    def write(self, name: str, content: bytes | str = "") -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def table(self, name: str, header: list[str], rows: list[list[str]]) -> Path:
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return path

    def contents(self) -> dict[str, bytes | None]:
        """Everything that stands here, for a comparison, but 8-bit weights: they are made when a run is opened."""
        found = {p.relative_to(self.folder): p.read_bytes() if p.is_file() else None for p in self.all()}
        return {str(path): content for path, content in found.items() if "int8" not in path.parts}

    def all(self) -> list[Path]:
        return sorted(self.folder.rglob("*"))


@pytest.fixture
def desk(tmp_path, monkeypatch, starter, corpus, run, short_sighted) -> Desk:
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path, starter, corpus, run, short_sighted)


Case = Callable[[Desk], list[object]]
CASES: list = []


def case(promise: str, *hints: str) -> Callable[[Case], Case]:
    """A case of the table: `hints` must stand in the line."""

    def add(function: Case) -> Case:
        CASES.append(pytest.param(function, hints, id=promise))
        return function

    return add


def training(desk: Desk, *more: object, preset: object = "lstm-small") -> list[object]:
    return ["train", preset, "--corpus", desk.take("corpus"), "--out", "made", *more]


# prepare


@case("a missing source is named", "nowhere.csv", "no such file")
def _(desk):
    return ["prepare", "nowhere.csv", "--out", "made"]


@case("an empty source is named", "empty.csv", "is empty")
def _(desk):
    return ["prepare", desk.write("empty.csv"), "--out", "made"]


@case("a source of a header alone is named", "header.csv", "no rows")
def _(desk):
    return ["prepare", desk.table("header.csv", ["title", "synopsis"], []), "--out", "made"]


@case("a binary source is named", "binary.csv", "not a text file")
def _(desk):
    return ["prepare", desk.write("binary.csv", bytes(range(256)) * 20), "--out", "made"]


@case("a truncated gz is named", "cut.jsonl.gz", "truncated")
def _(desk):
    whole = gzip.compress(desk.starter.read_bytes())
    return ["prepare", desk.write("cut.jsonl.gz", whole[: len(whole) // 2]), "--out", "made"]


@case("undecodable bytes are named with their place", "latin.csv", "0xe9", "offset")
def _(desk):
    return ["prepare", desk.write("latin.csv", b"synopsis\na caf\xe9 at night\n"), "--out", "made"]


@case("a truncated Parquet file is named", "cut.parquet", "Parquet")
def _(desk):
    return ["prepare", desk.write("cut.parquet", b"PAR1" + bytes(100)), "--out", "made"]


@case("a line that is not JSON is named by its number", "bad.jsonl", "line 2")
def _(desk):
    return ["prepare", desk.write("bad.jsonl", '{"synopsis": "a"}\n{"synopsis": \n'), "--out", "made"]


@case("another kind of file is named with the kinds there are", "story.docx", ".csv", ".parquet")
def _(desk):
    return ["prepare", desk.write("story.docx", "x"), "--out", "made"]


@case("a folder without texts is named", "no .txt file")
def _(desk):
    (desk.folder / "folder").mkdir()
    return ["prepare", "folder", "--out", "made"]


@case("without a text column the columns are named", "no column of texts", "serial", "mood", "--text-column")
def _(desk):
    return ["prepare", desk.table("moods.csv", ["serial", "mood"], [["1", "blue"]]), "--out", "made"]


@case("a column option that fits no column gets the nearest", "no column 'synopsys'", "'synopsis'")
def _(desk):
    return ["prepare", desk.starter, "--out", "made", "--text-column", "synopsys"]


@case("the rule that removed everything is named", "'words'", "removed")
def _(desk):
    rows = [[f"title {i}", f"too short {i}"] for i in range(40)]
    return ["prepare", desk.table("short.csv", ["title", "synopsis"], rows), "--out", "made"]


@case("fewer than 20 documents are counted", "19 of 19", "at least 20")
def _(desk):
    lines = desk.starter.read_text("utf-8").splitlines(keepends=True)
    return ["prepare", desk.write("few.jsonl", "".join(lines[:19])), "--out", "made"]


@case("an unknown rule set gets the nearest", "'articel'", "'article'")
def _(desk):
    return ["prepare", desk.starter, "--out", "made", "--rules", "articel"]


@case("a rule file with an unknown rule gets the nearest", "'wrds'", "'words'")
def _(desk):
    rules = desk.write("mine.toml", '[[rule]]\nname = "wrds"\n')
    return ["prepare", desk.starter, "--out", "made", "--rules", rules]


@case("a corpus is not put where something else stands", "made", "left alone")
def _(desk):
    (desk.folder / "made").mkdir()
    desk.write("made/diary.txt", "precious")
    return ["prepare", desk.starter, "--out", "made"]


@case("a corpus below a file is refused", "in-the-way")
def _(desk):
    return ["prepare", desk.starter, "--out", desk.write("in-the-way") / "made"]


@case("no source at all is asked for", "SOURCE")
def _(desk):
    return ["prepare", "--out", "made"]


@case("no place for the corpus is asked for", "--out")
def _(desk):
    return ["prepare", desk.starter]


# train


@case("an unknown preset gets the nearest", "'lstm-smal'", "'lstm-small'")
def _(desk):
    return training(desk, preset="lstm-smal")


@case("an unknown option gets the nearest", "'learning_rat'", "'learning_rate'")
def _(desk):
    return training(desk, "--set", "learning_rat=1")


@case("a setting without a value is refused", "key=value", "'foo'")
def _(desk):
    return training(desk, "--set", "foo")


@case("an ambiguous setting gets its choices", "train.max_length or sampling.max_length")
def _(desk):
    return training(desk, "--set", "max_length=40")


@case("a setting of the wrong type is named", "hidden", "'many'")
def _(desk):
    return training(desk, "--set", "hidden=many")


@case("a setting out of range is named", "dropout")
def _(desk):
    return training(desk, "--set", "dropout=-1")


@case("heads that do not divide the width are named", "heads", "width")
def _(desk):
    return training(desk, "--set", "heads=5", preset="gpt2-mini")


@case("texts cut beyond the model's context are refused", *("max_length", "context"))
def _(desk):
    small = ("size=300", "layers=1", "heads=2", "width=16", "context_length=16", "train.max_length=40")
    return training(desk, *(word for s in small for word in ("--set", s)), preset="gpt2-mini")


@case("an experiment that is not TOML is named", "mine.toml", "not TOML")
def _(desk):
    return training(desk, preset=desk.write("mine.toml", "family = "))


@case("a missing experiment is named", "missing.toml")
def _(desk):
    return training(desk, preset="missing.toml")


@case("minutes that are no number are named", "--max-minutes")
def _(desk):
    return training(desk, "--max-minutes", "x")


@case("minutes without end are refused", "--max-minutes")
def _(desk):
    return training(desk, "--max-minutes", "inf")


@case("minutes that are not a number are refused", "--max-minutes")
def _(desk):
    return training(desk, "--max-minutes", "nan")


@case("no minutes are refused", "--max-minutes")
def _(desk):
    return training(desk, "--max-minutes", 0)


@case("no steps are refused", "--max-steps")
def _(desk):
    return training(desk, "--max-steps", 0)


@case("a missing corpus is named with what makes one", "no corpus at nowhere", "arasuji prepare")
def _(desk):
    return ["train", "lstm-small", "--corpus", "nowhere", "--out", "made"]


@case("a folder that is no corpus is named", "folder is not a corpus")
def _(desk):
    (desk.folder / "folder").mkdir()
    return ["train", "lstm-small", "--corpus", "folder", "--out", "made"]


@case("a damaged corpus is named", "is damaged", "arasuji prepare")
def _(desk):
    words = training(desk)
    with (desk.folder / "corpus" / "train.jsonl").open("a") as file:
        file.write("{}\n")
    return words


@case("an existing run is not overwritten", "run exists already", "--resume")
def _(desk):
    return ["train", "lstm-small", "--corpus", desk.take("corpus"), "--out", desk.take("run")]


@case("another corpus than the run's is refused", "the corpus has changed")
def _(desk):
    return ["train", "lstm-small", "--corpus", _other_corpus(desk), "--out", desk.take("run"), "--resume"]


@case("a damaged run is not resumed", "manifest.json is damaged")
def _(desk):
    run = desk.take("run")
    (run / "manifest.json").write_text('{"experiment": ')
    return ["train", "lstm-small", "--corpus", desk.take("corpus"), "--out", run, "--resume"]


@case("a damaged checkpoint is not resumed", "last is damaged")
def _(desk):
    run = desk.take("run")
    _flip(run / "last" / "state.safetensors")
    return ["train", "lstm-small", "--corpus", desk.take("corpus"), "--out", run, "--resume"]


@case("a folder that is no run is not resumed", "is not a run")
def _(desk):
    (desk.folder / "made").mkdir()
    desk.write("made/diary.txt", "precious")
    return training(desk, "--resume")


@case("a run below a file is refused", "in-the-way")
def _(desk):
    return ["train", "lstm-small", "--corpus", desk.take("corpus"), "--out", desk.write("in-the-way") / "made"]


@case("a run in a file's place is refused", "in-the-way")
def _(desk):
    return ["train", "lstm-small", "--corpus", desk.take("corpus"), "--out", desk.write("in-the-way")]


@case("an unknown base gets the nearest", "'gpt-2'", "'gpt2'")
def _(desk):
    return training(desk, "--set", "base=gpt-2", preset="gpt2-article")


@case("a missing base folder is named", "./nowhere")
def _(desk):
    return training(desk, "--set", "base=./nowhere", preset="gpt2-article")


@case("a base whose weights are a pickle is refused", "pickle", "pytorch_model.bin")
def _(desk):
    (desk.folder / "base").mkdir()
    desk.write("base/config.json", '{"model_type": "gpt2"}')
    desk.write("base/pytorch_model.bin", b"\x80\x04.")
    return training(desk, "--set", "base=./base", preset="gpt2-article")


@case("a base that names code to run is refused", "auto_map")
def _(desk):
    (desk.folder / "base").mkdir()
    desk.write("base/config.json", '{"auto_map": {"AutoConfig": "mine.Config"}}')
    desk.write("base/model.safetensors")
    return training(desk, "--set", "base=./base", preset="pretrained-lora")


# generate


@case("a missing run is named", "nowhere")
def _(desk):
    return ["generate", "nowhere", "--out", "deep/texts.txt"]


@case("a missing run in a folder of runs is named", "no run", "did you mean")
def _(desk):
    desk.take("run")
    return ["generate", desk.folder / "nowhere"]


@case("a folder that is no run is named", "is not a run")
def _(desk):
    return ["generate", desk.folder]


@case("a corpus is not taken for a run", "corpus is not a run")
def _(desk):
    return ["generate", desk.take("corpus"), "this is not a run"]


@case("a run without a validated model is named", "no validated model", "--resume")
def _(desk):
    run = desk.take("run")
    shutil.rmtree(run / "best")
    return ["generate", run]


@case("a run with changed weights is named", "best is damaged")
def _(desk):
    run = desk.take("run")
    _flip(run / "best" / "model.safetensors")
    return ["generate", run]


@case("a run with a missing tokenizer is named", "best is damaged")
def _(desk):
    run = desk.take("run")
    (run / "best" / "tokenizer.json").unlink()
    return ["evaluate", run]


@case("a run that was never sealed is named", "best is damaged")
def _(desk):
    run = desk.take("run")
    (run / "best" / "manifest.json").unlink()
    return ["generate", run]


@case("a run whose manifest is damaged is named", "manifest.json is damaged")
def _(desk):
    run = desk.take("run")
    (run / "manifest.json").write_bytes(b"\x00\xff")
    return ["generate", run]


@case("a run whose family is unknown is named", "unknown model family 'lstn'", "'lstm'")
def _(desk):
    run = desk.take("run")
    _reseal(run / "best", family="lstn")
    return ["generate", run]


@case("a run whose sealed manifest says too little is named", "damaged")
def _(desk):
    run = desk.take("run")
    (run / "best" / "manifest.json").write_text('{"files": {}}')
    return ["generate", run]


@case("a run that names code to run is refused", "auto_map")
def _(desk):
    run = desk.take("short-sighted")
    _add(run / "best" / "config.json", auto_map={"AutoConfig": "mine.Config"})
    _reseal(run / "best")
    return ["generate", run]


@case("a run that names weights outside is refused", "merge it")
def _(desk):
    run = desk.take("short-sighted")
    _add(run / "best" / "adapter_config.json", base_model_name_or_path="/somewhere/else", peft_type="LORA")
    _reseal(run / "best")
    return ["generate", run]


@case("a run whose weights are a pickle is refused", "pickle")
def _(desk):
    run = desk.take("run")
    (run / "best" / "model.safetensors").rename(run / "best" / "model.bin")
    _reseal(run / "best")
    return ["generate", run]


@case("a name that is too long is named", "too long")
def _(desk):
    return ["generate", "a prompt in the run's place, " * 20]


@case("a prompt beyond the context is refused", "context holds 16", "shorten it")
def _(desk):
    return ["generate", desk.take("short-sighted"), "a word " * 60, "--out", "texts.jsonl"]


@case("a prompt that is not UTF-8 is refused", "not UTF-8")
def _(desk):
    return ["generate", desk.take("run"), "half a letter: \udcff"]


@case("a missing file of prompts is named", "nowhere.txt")
def _(desk):
    return ["generate", desk.take("run"), "--prompts-file", "nowhere.txt"]


@case("an empty file of prompts is named", "prompts.txt", "a line")
def _(desk):
    return ["generate", desk.take("run"), "--prompts-file", desk.write("prompts.txt", "\n \n")]


@case("a binary file of prompts is named", "prompts.txt")
def _(desk):
    return ["generate", desk.take("run"), "--prompts-file", desk.write("prompts.txt", b"\xff\xfe\x00")]


@case("another kind of output is refused", "'texts.csv'", ".jsonl")
def _(desk):
    return ["generate", desk.take("run"), "--out", "texts.csv"]


@case("an output below a file is refused", "in-the-way")
def _(desk):
    return ["generate", desk.take("run"), "--out", desk.write("in-the-way") / "texts.txt"]


@case("an output in a folder's place is refused", "texts.txt")
def _(desk):
    (desk.folder / "texts.txt").mkdir()
    return ["generate", desk.take("run"), "--out", "texts.txt"]


def _option(words: str) -> None:
    @case(f"{words} is refused", words.split()[0].removeprefix("--").replace("-", "_") if words[1] == "-" else "-n")
    def _(desk):
        return ["generate", desk.take("run"), "A", "--out", "texts.txt", *words.split()]


for words in (
    *("--top-p 2", "--top-p 0", "--top-p x", "--min-p 1.5", "--min-p -1", "--top-k -1", "--top-k 1.5"),
    *("--temperature -1", "--temperature nan", "--temperature inf", "--temperature hot", "-n 0", "-n x"),
    *("--num-beams 0", "--max-length 0", "--min-length -1", "--repetition-penalty 0", "--no-repeat-ngram-size -1"),
    *("--seed -1", "--seed x", "--seed 99999999999999999999"),
):
    _option(words)


@case("an unknown option gets the nearest", "--temprature", "--temperature")
def _(desk):
    return ["generate", desk.take("run"), "--temprature", 1]


# evaluate


@case("an unknown split gets the known ones", "'tset'", "validation")
def _(desk):
    return ["evaluate", desk.take("run"), "--corpus", desk.take("corpus"), "--split", "tset"]


@case("a file without a text column gets its columns named", "no column of texts", "mood")
def _(desk):
    return ["evaluate", desk.take("run"), "--texts", desk.table("moods.csv", ["serial", "mood"], [["1", "blue"]])]


@case("a file whose texts are all empty is named", "moods.csv", "no texts")
def _(desk):
    return ["evaluate", desk.take("run"), "--texts", desk.table("moods.csv", ["serial", "text"], [["1", ""]])]


@case("texts and a corpus together are refused", "--corpus or --texts")
def _(desk):
    return ["evaluate", desk.take("run"), "--texts", desk.starter, "--corpus", desk.take("corpus")]


@case("a corpus that has changed since training is refused", "has changed since")
def _(desk):
    return ["evaluate", desk.take("run"), "--corpus", _other_corpus(desk)]


@case("a corpus that has gone is named", "no corpus at")
def _(desk):
    run = desk.take("run")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["corpus"]["folder"] = str(desk.folder / "gone")
    (run / "manifest.json").write_text(json.dumps(manifest))
    return ["evaluate", run]


# the rest


@case("an unknown verb gets the nearest", "'tran'", "'train'")
def _(desk):
    return ["tran"]


@case("an unknown preset to show gets the nearest", "'lstm'")
def _(desk):
    return ["presets", "lst"]


@case("an unknown model to get gets the nearest", "'smollm2-135'", "'smollm2-135m'")
def _(desk):
    return ["models", "get", "smollm2-135"]


@case("a missing folder of runs is named", "nowhere")
def _(desk):
    return ["runs", "nowhere"]


@case("a folder without runs is named", "no runs in")
def _(desk):
    return ["runs", desk.folder]


def _other_corpus(desk: Desk) -> Path:
    from arasuji.corpus import prepare

    prepare([desk.starter], desk.folder / "other", seed=1)
    return desk.folder / "other"


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _add(path: Path, **entries: object) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(content | entries))


def _reseal(folder: Path, **facts: object) -> None:
    """A manifest that verifies, as somebody with bad intentions would write it."""
    manifest = json.loads((folder / folders.MANIFEST).read_text())
    folders.seal(folder, {**{k: v for k, v in manifest.items() if k != "files"}, **facts})


@pytest.mark.parametrize(("spoil", "hints"), CASES)
def test_bad_input_is_one_clear_line(arasuji_, desk, spoil, hints):
    words = spoil(desk)
    before = desk.contents()
    takes_json = words[0] in ("prepare", "train", "generate", "evaluate")
    complaint = arasuji_(*words, *(["--json"] if takes_json else [])).complaint.lower()
    complaint += complaint.replace("-", "_")  # an option by the name that either face gives it
    assert [hint for hint in hints if hint.lower() not in complaint] == []
    assert desk.contents() == before
