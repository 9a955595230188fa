"""The wheel: the same bytes whenever and wherever it is built, and everything that arasuji needs to run elsewhere.

It is installed into a new environment and used in an empty folder, as a reader of the README would.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from packaging.metadata import Metadata

PROJECT = Path(__file__).parents[2]
CONSTRAINTS = PROJECT / "constraints.txt"
EXTRAS = "serve,export"
MOST_BYTES = 3_000_000

pytestmark = [pytest.mark.packages, pytest.mark.timeout(1200)]


def copy_of_project(target: Path, made: float) -> Path:
    """What a build reads, in another folder and with other times of its files."""
    shutil.copytree(PROJECT / "src", target / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, target)
    shutil.copytree(PROJECT / "locks", target / "locks")
    for path in target.rglob("*"):
        os.utime(path, (made, made))
    return target


def build(source: Path, out: Path, *kinds: str) -> Path:
    """The wheel and the sdist of a copy of the project; the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", *kinds, "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    [made] = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Both are built from the folder."""
    source = copy_of_project(tmp_path_factory.mktemp("project") / "arasuji", 1_000_000_000)
    return build(source, tmp_path_factory.mktemp("wheel"), "--sdist", "--wheel")


@pytest.fixture(scope="module")
def names(wheel) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


@pytest.fixture(scope="module")
def metadata(wheel, names) -> Metadata:
    [name] = [name for name in names if name.endswith(".dist-info/METADATA")]
    with zipfile.ZipFile(wheel) as opened:
        return Metadata.from_email(opened.read(name), validate=True)


def test_another_build_elsewhere_at_another_time_and_by_way_of_the_sdist_has_the_same_bytes(wheel, tmp_path):
    source = copy_of_project(tmp_path / "elsewhere" / "a copy", time.time())
    again = build(source, tmp_path / "out")  # first the sdist, then the wheel from what is in it
    first, second = ({path.name: path.read_bytes() for path in made.parent.iterdir()} for made in (wheel, again))
    assert len(first) == 2
    assert first == second


def test_it_is_small(wheel):
    assert wheel.stat().st_size < MOST_BYTES


def test_it_holds_the_package_its_licence_and_nothing_else(names, metadata):
    info = f"arasuji-{metadata.version}.dist-info"
    own = {path.relative_to(PROJECT / "src").as_posix() for path in (PROJECT / "src").rglob("*") if path.is_file()}
    own = {name for name in own if "__pycache__" not in name}
    described = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE", "sboms/arasuji.cdx.json"}
    assert names == own | {f"{info}/{name}" for name in described}
    assert not [name for name in names if name.endswith(".pth")]
    assert "arasuji/py.typed" in names


def test_its_texts_are_our_own(names):
    """The starter corpus is ours (CC0); no other collection of texts is in the package."""
    data = {name for name in names if name.endswith((".jsonl", ".csv", ".parquet", ".gz", ".safetensors", ".gguf"))}
    assert data == {"arasuji/data/starter.jsonl"}


def test_its_metadata_says_what_it_is_and_names_no_address_that_does_not_exist(metadata):
    assert metadata.license_expression == "Apache-2.0"
    assert metadata.description == (PROJECT / "README.md").read_text("utf-8")
    assert metadata.description_content_type == "text/markdown"
    assert not metadata.project_urls
    assert not metadata.home_page
    versions = {c.rpartition(" ")[2] for c in metadata.classifiers if c.startswith("Programming Language")}
    assert versions == {"3.11", "3.12", "3.13", "3.14"}
    assert [version in metadata.requires_python for version in ("3.10", "3.11", "3.14")] == [False, True, True]


def test_every_extra_that_a_page_or_a_message_names_exists(metadata):
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "src").rglob("*.py")]
    named = re.findall(r"arasuji(?:-[\w.]+\.whl)?\[([\w,]+)\]", "\n".join(page.read_text("utf-8") for page in pages))
    assert {extra for group in named for extra in group.split(",")} <= set(metadata.provides_extra)


@dataclass
class Place:
    """An environment with arasuji in it, and an empty folder to work in."""

    python: Path
    folder: Path
    environment: dict[str, str]
    installed: str
    """How long it took and how large it is, in words."""

    def start(self, *words: object) -> subprocess.Popen[str]:
        arasuji = self.python.with_name("arasuji")
        return subprocess.Popen(
            [str(arasuji), *map(str, words)], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def arasuji(self, *words: object) -> str:
        """What a command prints on stdout."""
        process = self.start(*words)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, f"arasuji {' '.join(map(str, words))}\n{err}"
        return out

    def execute(self, program: str) -> str:
        """What a Python program prints."""
        ended = subprocess.run(
            [self.python, "-I", "-c", program],
            cwd=self.folder, env=self.environment, text=True, capture_output=True, timeout=600, check=False,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def place(wheel, tmp_path_factory) -> Iterator[Place]:
    """The pinned versions are installed: torch alone first, as `make` does it."""
    began = time.monotonic()
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    [torch] = [line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch==")]
    for wanted in (torch, f"{wheel}[{EXTRAS}]"):
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", CONSTRAINTS, wanted], check=True)
    took = time.monotonic() - began
    size = sum(path.lstat().st_size for path in (folder / "venv").rglob("*") if path.is_file())
    ours = {"ARASUJI_HOME": str(folder / "cache"), "HF_HOME": str(folder / "hub"), "COLUMNS": "120"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ARASUJI"))}
    work = folder / "work"
    work.mkdir()
    installed = f"wheel {wheel.stat().st_size / 1e6:.2f} MB; installed in {took:.0f} s, {size / 1e9:.2f} GB"
    yield Place(python, work, inherited | ours, installed)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def table(place) -> Path:
    """The starter corpus, as a CSV file of one's own."""
    found = place.execute("from importlib import resources; print(resources.files('arasuji.data') / 'starter.jsonl')")
    records = [json.loads(line) for line in Path(found.strip()).read_text("utf-8").splitlines()]
    text = io.StringIO()
    writer = csv.DictWriter(text, ["title", "synopsis"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(records)
    (place.folder / "my.csv").write_text(text.getvalue(), "utf-8")
    return place.folder / "my.csv"


@pytest.fixture(scope="module")
def runs(place, table) -> list[str]:
    """A corpus and two runs, by the commands of the README."""
    place.arasuji("prepare", "my.csv", "--out", "corpora/mine")
    trained = {"lstm-small": "runs/lstm", "gpt2-mini": "runs/gpt"}
    for preset, out in trained.items():
        place.arasuji("train", preset, "--corpus", "corpora/mine", "--out", out, "--max-minutes", 0.1)
    return list(trained.values())


def test_it_is_found_in_the_environment_and_not_in_the_project(place, capsys):
    found = place.execute("import arasuji; print(arasuji.__file__)")
    assert Path(found.strip()).is_relative_to(place.python.parents[1])
    with capsys.disabled():
        print(f"\n{place.installed}")


@pytest.mark.parametrize("words", ["--help", "presets", "presets lstm-small", "rules", "models"])
def test_what_needs_no_texts_answers(place, words):
    assert place.arasuji(*words.split())


def test_texts_are_examined_on_a_page(place, table):
    assert place.arasuji("inspect", "my.csv", "--out", "report.html")
    assert "<svg" in (place.folder / "report.html").read_text("utf-8")


def test_runs_write_are_listed_and_scored(place, runs):
    for run in runs:
        said = json.loads(place.arasuji("generate", run, "After years", "-n", 2, "--seed", 1, "--json"))
        assert len(said["samples"]) == 2
        assert json.loads(place.arasuji("evaluate", run, "--json"))["bits_per_byte"] > 0
    listed = place.arasuji("runs")
    assert all(Path(run).name in listed for run in runs)


def test_a_base_comes_from_a_registry_is_fine_tuned_and_reads_what_models_write(place, runs):
    place.arasuji("models", "get", "smollm2-135m")
    few = ["--max-steps", 1, "--set", "validation_documents=2", "--set", "base=smollm2-135m"]
    place.arasuji("train", "pretrained-lora", "--corpus", "corpora/mine", "--out", "tuned", *few)
    assert place.arasuji("generate", "tuned", "After years", "--max-length", 10)
    compare = ["compare", *runs, "--samples", 20, "--seeds", 1, "--documents", 20]
    place.arasuji(*compare, "--out", "compare.html")
    assert "<svg" in (place.folder / "compare.html").read_text("utf-8")


@pytest.mark.parametrize(("run", "to"), [("gpt", "hf"), ("gpt", "gguf"), ("gpt", "ctranslate2"), ("lstm", "onnx")])
def test_a_run_is_exported(place, runs, run, to):
    place.arasuji("export", f"runs/{run}", "--to", to, "--out", f"{run}-{to}")
    assert (place.folder / f"{run}-{to}/README.md").exists()


def test_the_studio_opens_and_writes(place, runs):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    server = place.start("serve", "--runs", "runs", "--port", port)
    try:
        page = answered(server, address + "/")
        scripts = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', page)
        assert scripts
        assert all(answered(server, address + script) for script in scripts)
        asked = json.dumps({"model": "lstm", "prompt": "After years", "max_tokens": 5}).encode()
        request = Request(f"{address}/v1/completions", asked, {"Content-Type": "application/json"})
        with urlopen(request, timeout=120) as answer:
            assert json.load(answer)["choices"]
    finally:
        server.terminate()
        server.communicate(timeout=60)


def answered(server: subprocess.Popen[str], address: str) -> str:
    """What stands at the address, as soon as the server is there."""
    until = time.monotonic() + 120
    while True:
        try:
            with urlopen(address, timeout=60) as answer:
                return answer.read().decode()
        except URLError:
            assert server.poll() is None, server.communicate()
            assert time.monotonic() < until
            time.sleep(0.2)


def test_a_notebook_does_the_same(place, runs):
    said = place.execute(
        "import arasuji\n"
        "model = arasuji.load('runs/gpt')\n"
        "print(len(list(arasuji.generate(model, 'After years', n=2, seed=1))))\n"
    )
    assert said.split() == ["2"]


def test_what_is_not_installed_is_asked_for_in_one_line(place, runs):
    process = place.start("tune", "lstm-small", "--corpus", "corpora/mine", "--out", "tuned", "--set",
                          "learning_rate=1e-4..1e-2", "--minutes", 0.1, "--trials", 1)  # fmt: skip
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert err.splitlines()[-1].endswith("pip install 'arasuji[tune]'")
