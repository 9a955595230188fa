"""Every command on a page of the documentation does what it says there.

Blocks of commands and of Python are run on the starter corpus, page by page and from top to bottom, with small models
and few steps (`ADDED`, `SMALL`, `SHORTER`). One that is not run says why in the page's source, in a comment before it:

    <!-- not run: it needs a GPU -->

or, for all blocks of a page, <!-- no command of this page is run: ... -->. Verbs and options of these are checked too.
"""

from __future__ import annotations

import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import httpx
import polars
import pytest
import typer
from markdown_it import MarkdownIt
from tiny_presets import TINY, settings
from typer.testing import CliRunner

import arasuji.cli
from arasuji import bases

ROOT = Path(__file__).parents[2]
PROGRAM = typer.main.get_command(arasuji.cli.app)
PROGRAMS = {
    "accelerate", "arasuji", "cd", "for", "hf", "jupyter", "ollama", "pipx", "sbatch", "sky", "torchrun", "uvx", "vllm",
}  # fmt: skip
"""A block in which a line begins with one of these, or with a program of this machine, holds commands."""
NOT_RUN = re.compile(r"<!--\s+not run: (.+?)\s+-->", re.DOTALL)
NONE_RUN = re.compile(r"<!--\s+no command of this page is run: (.+?)\s+-->", re.DOTALL)

STARTER = resources.files("arasuji.data") / "starter.jsonl"
GIVEN = {
    "": {
        "anime.csv": "texts.csv",
        "blurbs.csv": "texts.csv",
        "my.csv": "texts.csv",
        "src/arasuji/data/starter.jsonl": "texts.jsonl",
        "texts.txt": "texts.txt",
    },
    "docs/bases.md": {"corpora/mine": "corpus"},
    "docs/do/from-run-clm.md": {"merged": "base/best"},
    "docs/do/gpt2-folder.md": {"gpt2-files": "base/best"},
    "docs/do/language-without-spaces.md": {"あらすじ.txt": "japanese.txt"},
    "docs/exports.md": {"runs/lora": "lora", "corpora/anime": "corpus", "FOLDER": "base/best"},
    "docs/lookup/json.md": {"runs/lora": "lora", "runs/lstm": "lstm"},
}
"""What the pages, and one of them, take for granted: the reader's own files and folders, and which of `given` they are
here."""
PRESETS = {"lstm": "lstm-small", "lora": "pretrained-lora"}
"""The runs of `given`."""
ADDED = {
    "compare": ("--samples", "24", "--seeds", "1", "--documents", "8"),
    "sweep": ("--samples", "40", "--set", "temperature=1", "--set", "top_p=1", "--set", "top_k=0", "--set", "min_p=0"),
    "train": ("--max-steps", "2"),
    "tune": ("--trials", "2", "--max-steps", "2"),
}
"""What is added to the options of a verb, so that it takes seconds."""
WHOLE = ("validation_documents=4", "batch_size=2", "train.max_length=700", "sampling.max_length=60")
SMALL = {
    **{name: (*settings(name), "sampling.max_length=60") for name in TINY if name != "lora"},
    **{f"pretrained-{kind}": ("lora_rank=4", *WHOLE) for kind in ("lora", "control", "title", "fill")},
    **dict.fromkeys(("pretrained-full", "gpt2-article"), WHOLE),
    "lstm-distilled": ("min_count=2", "embedding=8", "hidden=16", "batch_size=4", "teaching.minutes=0"),
}
"""The settings by which a preset is small. The pretrained models are small as well (`given`)."""
JAPANESE = """
港町の少女 老いた時計職人 夜行列車の車掌 雪国の郵便屋 弓道部の部長 発電所の技師 映画館の息子 橋の番人
村の医者 将棋の棋士 パン屋の娘 若い灯台守 双子の姉妹 宇宙港の清掃員 占い師の弟子 最後の写真家

海の底で 古い駅で 廃校の屋上で 峠の茶屋で 市場の裏で 図書館の地下で 嵐の夜に 最後の冬に 山の診療所で
祭りの前に 川の向こうで 誰もいない町で

宛名のない手紙を拾う 消えた地図を探す 嘘をつけない犬に出会う 古い約束を思い出す 小さな星を育てる
知らない名前を聞く 止まった時計を動かす 鳴らない太鼓を直す 見えない橋を渡る 帰り道を忘れてしまう
"""
"""Who, where, and what they do."""
SHORTER = {"max_minutes=20": f"max_steps=2, settings={SMALL['lstm-small']}"}
"""The same in Python: what takes the place of what."""


class Block(NamedTuple):
    """A block of code on a page."""

    page: str
    line: int
    language: str
    text: str
    why_not: str
    """Why it is not run; "" where it is."""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def lines(self) -> list[str]:
        """The commands, those of several lines joined."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("#")]

    @property
    def holds_commands(self) -> bool:
        words = [line.split()[0] for line in self.lines]
        return self.language in ("", "bash", "sh") and any(word in PROGRAMS or shutil.which(word) for word in words)

    @property
    def file(self) -> str:
        """The name in the first line of a file of TOML."""
        named = re.match(r"# (\S+\.toml)\n", self.text)
        return named[1] if named and self.language == "toml" else ""


@cache
def blocks(page: Path) -> list[Block]:
    """The blocks of a page."""
    source, name = page.read_text("utf-8"), page.relative_to(ROOT).as_posix()
    whole = NONE_RUN.search(source)
    found, why_not = [], whole[1] if whole else ""
    for token in MarkdownIt().parse(source):
        if token.type == "html_block" and (comment := NOT_RUN.search(token.content)):
            why_not = comment[1]
        elif token.type in ("fence", "code_block"):
            found.append(Block(name, token.map[0] + 1, token.info.partition(" ")[0], token.content, why_not))
            why_not = whole[1] if whole else ""
    return found


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in PAGES if any(block.holds_commands or block.language == "python" for block in blocks(page))]
every_page = pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])


@every_page
def test_every_command_is_run_or_its_page_says_why_not(page: Path) -> None:
    for block in blocks(page):
        if block.holds_commands and not block.why_not:
            others = [line for line in block.lines if line.split()[0] != "arasuji"]
            assert not others, f"{block.place}: these are not run, so say why: <!-- not run: ... -->"


@every_page
def test_every_command_names_verbs_and_options_that_there_are(page: Path) -> None:
    for block in blocks(page):
        for line in block.lines if block.holds_commands else []:
            if re.match(r"arasuji |\S.* -m arasuji ", line) and "..." not in line:
                words = shlex.split(line, comments=True)
                asked = words[words.index("arasuji") + 1 :]
                check(block, asked[: asked.index(">")] if ">" in asked else asked)


def check(block: Block, asked: list[str]) -> None:
    """Let the command line read the words that stand after `arasuji`, and do nothing."""
    command = PROGRAM
    context = typer.Context(command, info_name="arasuji")
    while hasattr(command, "commands") and asked and not asked[0].startswith("-"):
        assert asked[0] in command.commands, f"{block.place}: there is no verb {asked[0]}"
        command, asked = command.commands[asked[0]], asked[1:]
    if not hasattr(command, "commands"):
        command.make_context(command.name, asked, parent=context)


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What pages name as the reader's own: files of texts, a corpus, two runs. All pretrained models that pages name
    are small here: one GPT-2 of our own stands under each name in a cache of the hub."""
    folder = tmp_path_factory.mktemp("given")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ARASUJI_HOME", str(folder / "home"))
        patch.setenv("HF_HUB_CACHE", str(folder / "hub"))  # for processes that are started
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
        (folder / "texts.jsonl").write_text(STARTER.read_text("utf-8"), "utf-8")
        polars.read_ndjson(folder / "texts.jsonl").write_csv(folder / "texts.csv")
        (folder / "texts.txt").write_text("\n".join(polars.read_ndjson(folder / "texts.jsonl")["synopsis"]), "utf-8")
        (folder / "japanese.txt").write_text("".join(japanese()), "utf-8")
        arasuji_("prepare", folder / "texts.csv", "--out", folder / "corpus")
        longer = ("--set", "context_length=1024")
        arasuji_(*short("train", "gpt2-mini", "--corpus", folder / "corpus", "--out", folder / "base"), *longer)
        for base in bases.KNOWN.values():
            cached = folder / "hub" / f"models--{base.hub.replace('/', '--')}"
            shutil.copytree(folder / "base" / "best", cached / "snapshots" / "0")
            (cached / "refs").mkdir()
            (cached / "refs" / "main").write_text("0")
        for name, preset in PRESETS.items():
            arasuji_(*short("train", preset, "--corpus", folder / "corpus", "--out", folder / name))
        yield folder


def japanese() -> Iterator[str]:
    """Some hundred texts, a line each, in which chance has put people, places and what they do together."""
    people, places, deeds = (words.split() for words in JAPANESE.split("\n\n"))
    draw = random.Random(0)
    for _ in range(300):
        told = zip(draw.sample(people, 4), draw.sample(places, 4), draw.sample(deeds, 4), strict=True)
        yield "。".join(f"{who}は{where}{what}" for who, where, what in told) + "。\n"


def arasuji_(*words: object) -> str:
    """What `arasuji WORDS` prints, in this process."""
    result = CliRunner().invoke(arasuji.cli.app, [str(word) for word in words])
    assert result.exit_code == 0, f"arasuji {' '.join(map(str, words))}\n{result.output}\n{result.exception}"
    return result.stdout


def short(*words: object) -> list[object]:
    """The words of a command, and what makes it take seconds."""
    settings = SMALL.get(str(words[1]), ()) if words[0] in ("train", "tune") else ()
    return [*words, *ADDED.get(str(words[0]), ()), *(word for setting in settings for word in ("--set", setting))]


@pytest.mark.site
@every_page
def test_the_commands_of_a_page_run(page: Path, given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place, what in (GIVEN[""] | GIVEN.get(page.relative_to(ROOT).as_posix(), {})).items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (given / what).is_dir() else shutil.copy)(given / what, place)
    for block in blocks(page):
        if block.file:
            Path(block.file).write_text(block.text, "utf-8")
        elif block.why_not:
            continue
        elif block.language == "python":
            text = block.text
            for longer, shorter in SHORTER.items():
                text = text.replace(longer, shorter)
            exec(compile(text, block.place, "exec"), {})
        elif block.holds_commands:
            for line in block.lines:
                run(shlex.split(line, comments=True)[1:])


def run(words: list[str]) -> None:
    """Run `arasuji WORDS`, where `> FILE` may stand at the end."""
    if words[0] == "serve":
        serve(words)
    elif words[-2:-1] == [">"]:
        Path(words[-1]).write_text(arasuji_(*short(*words[:-2])), "utf-8")
    else:
        arasuji_(*short(*words))


def serve(words: list[str]) -> None:
    """Start the server as a program, ask it for its page, and stop it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "arasuji", *words, "--port", str(port)])
    try:
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
                return
            except httpx.ConnectError:
                assert server.poll() is None
                time.sleep(0.1)
    finally:
        server.terminate()
        server.wait()
