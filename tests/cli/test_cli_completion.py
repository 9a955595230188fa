"""The Tab key: the protocol that bash, zsh and fish speak with the program, in processes of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from arasuji.config import preset_names

VERBS = {"prepare", "train", "generate", "evaluate", "compare", "presets", "models", "runs", "demo"}
SHELLS = {  # where `--install-completion` leaves its script, and a line of it
    "bash": (".bash_completions/arasuji.sh", "complete -o default -F _arasuji_completion arasuji"),
    "zsh": (".zfunc/_arasuji", "#compdef arasuji"),
    "fish": (".config/fish/completions/arasuji.fish", "complete --command arasuji"),
}


def ask(shell: str, **said: str) -> subprocess.CompletedProcess[str]:
    """What the shell's completion function runs."""
    environment = {**os.environ, "_ARASUJI_COMPLETE": f"complete_{shell}", **said}
    return subprocess.run(
        [sys.executable, "-m", "arasuji"], env=environment, capture_output=True, text=True, check=False
    )


def bash(line: str) -> set[str]:
    """The words that bash is offered for the end of a line."""
    done = ask("bash", COMP_WORDS=line, COMP_CWORD=str(len(f"{line}|".split()) - 1))
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("arasuji tr", {"train"}),
        ("arasuji train ", set(preset_names())),
        ("arasuji train gpt2-", {"gpt2-article", "gpt2-mini"}),
        ("arasuji presets ng", {"ngram"}),
        ("arasuji prepare x --rules ", {"default", "article", "article-lstm"}),
        ("arasuji evaluate run --split ", {"train", "validation", "test"}),
        ("arasuji train ngram --max-", {"--max-minutes", "--max-steps"}),
        ("arasuji models ", {"get"}),
    ],
)
def test_names_are_offered_where_they_belong(line, words):
    assert bash(line) == words


def test_every_verb_is_offered():
    assert bash("arasuji ") >= VERBS


@pytest.mark.parametrize("line", ["arasuji prepare my", "arasuji train x --corpus ", "arasuji generate runs/"])
def test_a_place_for_a_file_is_left_to_the_shell(line):
    assert bash(line) == set()


def test_zsh_and_fish_are_answered_in_their_own_ways():
    line = "arasuji train gpt2-"
    assert ask("zsh", _TYPER_COMPLETE_ARGS=line).stdout == '_arguments \'*: :(("gpt2-article"\n"gpt2-mini"))\'\n'
    fish = ask("fish", _TYPER_COMPLETE_ARGS=line, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert fish.stdout == "gpt2-article\ngpt2-mini\n"


@pytest.mark.parametrize(
    "said",
    [
        {},  # no line at all
        {"COMP_WORDS": "arasuji 'unfinished", "COMP_CWORD": "1"},
        {"COMP_WORDS": "arasuji nonsense ", "COMP_CWORD": "2"},
        {"COMP_WORDS": "arasuji train --max-steps many x --", "COMP_CWORD": "5"},
        {"COMP_WORDS": "arasuji train \udcff", "COMP_CWORD": "2"},
        {"COMP_WORDS": "arasuji train x", "COMP_CWORD": "two"},
    ],
)
def test_nothing_is_printed_into_the_line_that_is_being_typed(said):
    done = ask("bash", **said)
    assert done.stderr == ""
    assert "Traceback" not in done.stdout


def test_names_are_offered_without_importing_torch():
    code = "import sys; from arasuji.cli.complete import *; presets(); rule_sets(); splits(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "polars"} & set(done.stdout.split())


@pytest.fixture
def home(tmp_path) -> dict[str, str]:
    """An environment with an empty home folder, and an `arasuji` to call."""
    program = tmp_path / "bin" / "arasuji"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m arasuji "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "HOME": str(tmp_path), "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_is_installed_for_the_shell_that_asks(home, shell):
    # The shell is known by the name of its process, so a bash of that name will do. The `exit` keeps it there.
    named = Path(home["HOME"]) / "bin" / shell
    named.symlink_to(str(shutil.which("bash")))
    done = subprocess.run(
        [named, "-c", "arasuji --install-completion; exit $?"], env=home, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    place, line = SHELLS[shell]
    assert line in (Path(home["HOME"]) / place).read_text()


def test_a_real_bash_completes_with_the_script_that_is_shown(home):
    script = """
        source <(arasuji --show-completion)
        COMP_WORDS=(arasuji train lstm-) COMP_CWORD=2
        _arasuji_completion arasuji
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script], env=home, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [
        "lstm-article",
        "lstm-article-fast",
        "lstm-control",
        "lstm-distilled",
        "lstm-ngram",
        "lstm-small",
    ]
