"""Closed streams, readers that leave, brackets in names, ~, and options that are checked before a model is opened."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from arasuji import api, arguments, bases, speech


def shell(line: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """A line of a real shell, in which ARASUJI is the program."""
    python = f"{sys.executable} -m arasuji"
    everything = os.environ | {name: str(value) for name, value in variables.items()} | {"ARASUJI": python}
    return subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, env=everything)


@pytest.fixture(scope="module")
def ngram(corpus, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ngram"
    list(api.train_events(api.experiment("ngram", "size=300"), corpus, folder, max_steps=2))
    return folder


def test_a_reader_that_leaves_ends_nothing_but_what_it_read(ngram, tmp_path):
    done = shell("$ARASUJI generate $RUN A B C -n 20 --max-length 30 --out $OUT | head -1", RUN=ngram,
                 OUT=tmp_path / "texts.jsonl")  # fmt: skip
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert len((tmp_path / "texts.jsonl").read_text("utf-8").splitlines()) == 60
    assert "Traceback" not in done.stderr


def test_closed_streams_are_no_reason_to_fail(ngram, starter, tmp_path):
    quiet = shell(
        "$ARASUJI generate $RUN 'A baker' --max-length 5 --no-mend --out $OUT >&-", RUN=ngram, OUT=tmp_path / "a.txt"
    )
    assert (quiet.returncode, quiet.stderr) == (0, f"1 appended to {tmp_path / 'a.txt'}\n")
    assert (tmp_path / "a.txt").read_text("utf-8").startswith("A baker")
    deaf = shell("$ARASUJI prepare $SOURCE --out $OUT <&- 2>&-", SOURCE=starter, OUT=tmp_path / "corpus")
    assert deaf.returncode == 0
    assert "documents" in deaf.stdout
    assert api.Corpus.load(tmp_path / "corpus").hash in deaf.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line():
    done = shell("$ARASUJI presets > /dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_what_is_saved_is_saved_whatever_becomes_of_what_is_printed(ngram, tmp_path):
    out = tmp_path / "a.jsonl"
    done = shell("$ARASUJI generate $RUN A B --max-length 5 --no-mend --out $OUT > /dev/full", RUN=ngram, OUT=out)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "error: what was printed is lost: No space left on device",
    )
    assert len(out.read_text("utf-8").splitlines()) == 2


def test_brackets_in_a_name_are_shown_as_they_are_on_a_terminal(arasuji_, monkeypatch):
    from arasuji.cli.terminal import working

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with working("opening runs/x[/y] [bold]"):
        pass
    assert "no run runs/x[/y]" in arasuji_("generate", "runs/x[/y]", "A baker").complaint


def test_the_home_folder_is_meant_wherever_a_path_is_taken(arasuji_, starter, run, tmp_path, monkeypatch):
    monkeypatch.setenv("ARASUJI_HOME", str(bases.home()))  # else SmolLM2 would be converted once more
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.jsonl").write_bytes(starter.read_bytes())
    (tmp_path / "run").symlink_to(run)
    assert arasuji_("prepare", "~/mine.jsonl", "--out=~/corpora/mine", "--explain=~/gone.jsonl").code == 0
    assert arasuji_("generate", "~/run", "A", "--out=~/texts.txt").code == 0
    assert arasuji_("evaluate", "~/run", "--texts=~/mine.jsonl", "--json").code == 0
    assert arasuji_("inspect", "~/corpora/mine", "--out=~/report.html").code == 0
    api.prepare("~/mine.jsonl", "~/corpora/other", keep="title")
    assert api.Corpus.load("~/corpora/other").hash
    assert {path.name for path in tmp_path.iterdir() if path.name[0] != "."} == {
        "mine.jsonl", "run", "corpora", "gone.jsonl", "texts.txt", "report.html"
    }  # fmt: skip
    assert arguments.name("gpt2") == "gpt2"


def test_a_user_without_a_home_is_told_what_to_set(arasuji_, run, tmp_path, monkeypatch):
    def unknown() -> None:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    for name in ("ARASUJI_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert "set ARASUJI_HOME" in arasuji_("generate", run, "A").complaint
    monkeypatch.setenv("ARASUJI_HOME", str(tmp_path / "home"))
    assert arasuji_("generate", run, "A").code == 0


@pytest.mark.parametrize(("rank", "size"), [("x", "2"), ("0", "x"), ("0", "0"), ("2", "2"), ("", "")])
def test_variables_of_a_launcher_that_make_no_sense_are_said(arasuji_, monkeypatch, rank, size):
    for name, value in {"RANK": rank, "LOCAL_RANK": "0", "WORLD_SIZE": size}.items():
        monkeypatch.setenv(name, value)
    assert f"RANK={rank}, LOCAL_RANK=0, WORLD_SIZE={size} do not say" in arasuji_("presets").complaint


def test_messages_that_no_terminal_takes_are_dropped(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

        def fileno(self) -> int:
            return 2

    dropped = []
    monkeypatch.setattr("sys.stderr", Gone())
    monkeypatch.setattr(speech, "silence", dropped.append)
    speech.say("step 1")
    assert dropped == [2]


CHECKED = [
    ("generate", ["--temperature", "-1"], "temperature"),
    ("generate", ["--top-p", "0"], "top_p"),
    ("generate", ["--temperature", "nan"], "temperature"),
    ("generate", ["--min-length", "9999"], "min_length"),
    ("generate", ["--repetition-penalty", "1e-40"], "repetition_penalty"),
    ("evaluate", ["--split", "tset"], "no split"),
]


@pytest.mark.parametrize(("verb", "options", "named"), CHECKED)
def test_options_are_checked_before_a_model_is_opened(arasuji_, run, monkeypatch, verb, options, named):
    monkeypatch.setattr("arasuji.writing.open_model", None)  # to call it would be a TypeError
    assert named in arasuji_(verb, run, *options).complaint


@pytest.mark.parametrize("temperature", ["0", "1e-40", "1e-320", "1e-31"])
def test_the_coldest_temperatures_are_greedy_and_equal_texts_are_said_once(arasuji_, run, temperature):
    done = arasuji_("generate", run, "A baker", "-n", "3", "--temperature", temperature, "--json")
    samples = done.json["samples"]
    assert len({sample["text"] for sample in samples}) == 1
    assert len(samples[0]["text"]) > len("A baker")
    assert done.err.count("are all the same") == 1
    assert (
        samples[0]["text"]
        == arasuji_("generate", run, "A baker", "--temperature", "0", "--json").json["samples"][0]["text"]
    )


def test_a_moved_corpus_is_missed_with_the_option_that_names_its_place(arasuji_, run, corpus, tmp_path, monkeypatch):
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    moved = tmp_path / "run"
    moved.mkdir()
    shutil.copytree(run / "best", moved / "best")
    manifest["corpus"]["folder"] = str(tmp_path / "gone")
    (moved / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    for line in (["evaluate", moved], ["compare", moved, run]):
        complaint = arasuji_(*line).complaint
        assert "no corpus at" in complaint
        assert "--corpus DIR" in complaint
    assert arasuji_("evaluate", moved, "--corpus", corpus, "--json").json["documents"] > 1


def test_one_document_has_no_interval(arasuji_, run, tmp_path):
    (tmp_path / "one.txt").write_text("A baker finds a key.", "utf-8")
    found = arasuji_("evaluate", run, "--texts", tmp_path / "one.txt", "--json").json
    assert (found["documents"], found["low"], found["high"]) == (1, None, None)
    assert "one document has no interval" in arasuji_("evaluate", run, "--texts", tmp_path / "one.txt").out


def test_a_vocabulary_of_nothing_is_refused_before_a_run_is_made(arasuji_, corpus, tmp_path):
    out = tmp_path / "run"
    changes = ["--set", "tokenizer.min_count=100000", "--set", "embedding=16", "--set", "hidden=16"]
    complaint = arasuji_("train", "lstm-article-fast", "--corpus", corpus, "--out", out, *changes).complaint
    assert "tokenizer.min_count" in complaint
    assert not out.exists()


@pytest.mark.parametrize("verb", [["compare", "RUN", "ngram"], ["inspect", "SOURCE"], ["generate", "RUN"]])
def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    arasuji_, run, starter, tmp_path, monkeypatch, verb
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("arasuji.writing.open_model", None)
    monkeypatch.setattr("arasuji.evaluation.ask.kept", None)
    words = [{"RUN": run, "SOURCE": starter}.get(word, word) for word in verb]
    assert "in the way" in arasuji_(*words, "--out", tmp_path / "file" / "report.txt").complaint


@pytest.mark.parametrize("minutes", ["nan", "-1", "inf"])
def test_minutes_that_make_no_sense_are_refused(arasuji_, corpus, tmp_path, minutes):
    complaint = arasuji_(
        "train", "ngram", "--corpus", corpus, "--out", tmp_path / "run", "--max-minutes", minutes
    ).complaint
    assert "max" in complaint
    assert not (tmp_path / "run").exists()
