"""Memory does not grow with the files, and a kill at any moment loses nothing that was there."""

from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from arasuji.corpus import Corpus, prepare
from arasuji.documents import Document
from arasuji.errors import CorpusError
from arasuji.training.documents import Documents

CsvFile = Callable[..., Path]
FEW, MANY = 2200, 15_000
NAMES = ["examples.jsonl", "manifest.json", "test.jsonl", "train.jsonl", "validation.jsonl"]

PEAK = """
import resource, sys
from pathlib import Path
from arasuji.corpus import prepare
corpus = prepare([sys.argv[1]], sys.argv[2], sys.argv[3])
assert len(corpus.train) > 0.8 * int(sys.argv[4])
status = Path("/proc/self/status")
if status.exists():  # on Linux, ru_maxrss begins with what the parent took, which is more
    print(1024 * next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def table(path: Path, rows: int, words: int = 400) -> int:
    """Writes so many rows of made-up words, packed where the name says so; gives the size of the text."""
    chance = random.Random(0)
    vocabulary = [f"word{n}" for n in range(3000)]
    size = 0
    with gzip.open(path, "wt", 1) if path.suffix == ".gz" else path.open("w") as file:
        file.write("title,synopsis\n")
        for row in range(rows):
            size += file.write(f"t{row:x}zu,{' '.join(chance.choices(vocabulary, k=words))}\n")
    return size


def peak(source: Path, rules: str | Path, rows: int) -> int:
    """The most memory that a process of its own takes to prepare a source."""
    words = [sys.executable, "-c", PEAK, str(source), str(source.parent / "corpus"), str(rules), str(rows)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True, timeout=200).stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_texts(tmp_path: Path) -> None:
    few, many = tmp_path / "few.csv", tmp_path / "many.csv.gz"  # packed, so that it is not unpacked whole either
    added = -table(few, FEW) + table(many, MANY)
    assert added > 40e6
    rules = tmp_path / "my.toml"  # one that compares, one that does not, and a split that has to compare again
    rules.write_text("[[rule]]\nname = 'near-duplicates'\n[[rule]]\nname = 'whitespace'\n")
    assert peak(many, rules, MANY) - peak(few, rules, FEW) < 0.5 * added


def test_a_packed_file_gives_the_same_corpus(tmp_path: Path, csv_file: CsvFile) -> None:
    plain = csv_file(60)
    packed = tmp_path / "stories.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert prepare([packed], tmp_path / "one").hash == prepare([plain], tmp_path / "other").hash


@pytest.fixture
def interrupted(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Starts `arasuji prepare` on a file that never ends, and kills it when it has begun to write."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    pipe = tmp_path / "endless.csv"
    os.mkfifo(pipe)
    started: list[subprocess.Popen[bytes]] = []

    def kill_in_the_middle() -> None:
        words = ["prepare", str(pipe), "--out", str(tmp_path / "corpus")]
        process = subprocess.Popen([sys.executable, "-m", "arasuji", *words], stderr=subprocess.DEVNULL)
        started.append(process)
        with pipe.open("w") as file:
            file.write("title,synopsis\n")
            for row in range(5000):
                file.write(
                    f"t{row:x}zu,keeper {row} and the lamp {row} of harbour {row} in storm {row} at night {row}\n"
                )
            file.flush()
            until = time.monotonic() + 60
            while not any(path.stat().st_size for path in tmp_path.glob(".corpus.*.new/work/*.jsonl")):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=60)
        assert list(tmp_path.glob(".corpus.*.new"))

    yield kill_in_the_middle
    for process in started:
        process.kill()
        process.wait(timeout=60)


def test_a_kill_in_the_middle_leaves_no_corpus_and_the_next_prepare_cleans_up(
    tmp_path: Path, csv_file: CsvFile, interrupted: Callable[[], None]
) -> None:
    interrupted()
    with pytest.raises(CorpusError, match="no corpus at"):
        Corpus.load(tmp_path / "corpus")
    made = prepare([csv_file()], tmp_path / "corpus")
    assert Corpus.load(tmp_path / "corpus") == made
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "endless.csv", "stories.csv"]
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == NAMES


def test_a_kill_in_the_middle_leaves_the_older_corpus_readable(
    tmp_path: Path, csv_file: CsvFile, interrupted: Callable[[], None]
) -> None:
    older = prepare([csv_file()], tmp_path / "corpus")
    interrupted()
    assert Corpus.load(tmp_path / "corpus") == older
    newer = prepare([csv_file(50)], tmp_path / "corpus")
    assert Corpus.load(tmp_path / "corpus") == newer != older
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "endless.csv", "stories.csv"]


DIES = """
import os, signal, sys
import arasuji.corpus, arasuji.folders
from pathlib import Path

moment = int(sys.argv[3])
passed = 0

def dying(real):
    def step(*arguments, **options):
        global passed
        passed += 1
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **options)
    return step

Path.rename = dying(Path.rename)
arasuji.corpus.pipeline.seal = dying(arasuji.corpus.pipeline.seal)
arasuji.folders.write_json = dying(arasuji.folders.write_json)
real_rmtree = arasuji.folders.shutil.rmtree
arasuji.folders.shutil.rmtree = lambda path, **options: (
    dying(real_rmtree)(path, **options) if Path(path).exists() else None
)
print(arasuji.corpus.prepare([sys.argv[1]], sys.argv[2]).hash)
"""


def test_whatever_the_moment_of_the_kill_the_old_corpus_or_the_new_one_is_there(
    tmp_path: Path, csv_file: CsvFile
) -> None:
    """The moments: each removal of a folder, sealing, writing the manifest, and each renaming."""
    older, newer = csv_file(20, name="older.csv"), csv_file(21, name="newer.csv")
    hashes = [prepare([source], tmp_path / "other").hash for source in (older, newer)]
    seen = []
    for moment in range(1, 20):
        out = tmp_path / f"corpus{moment}"
        prepare([older], out)
        words = [sys.executable, "-c", DIES, str(newer), str(out), str(moment)]
        ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)
        seen.append(hashes.index(Corpus.load(out).hash))
        assert prepare([newer], out).hash == hashes[1]
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(seen) >= 6  # the last of which nobody killed
    assert seen == sorted(seen)
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


class Tokens(list[int]):
    """Encoded text whose end of life can be seen."""


def test_encoded_documents_lie_in_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    alive: list[weakref.ref[Tokens]] = []
    most = 0

    def encoded() -> Iterator[Document]:
        nonlocal most
        for number in range(500):
            tokens = Tokens([7, *[number] * 100, 7])
            alive.append(weakref.ref(tokens))
            most = max(most, sum(reference() is not None for reference in alive))
            yield Document(tokens, 1)

    documents = Documents(encoded(), start_id=7)
    assert most <= 2  # the one that is made, and the one before it
    assert isinstance(documents.tokens, np.memmap)
    assert not documents.tokens.flags.writeable
    assert list(tmp_path.iterdir()) == []
    ids, targets = documents.read(499, limit=1000)
    assert (ids.tolist(), targets.tolist()) == ([7] + [499] * 100, [499] * 100 + [7])
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert any(str(tmp_path) in line and "(deleted)" in line for line in maps.read_text().splitlines())
