"""Two processes that make the same thing at once do not mix it up, and a killed one is in nobody's way."""

from __future__ import annotations

import errno
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from arasuji import folders
from arasuji.errors import RunError, StorageError
from arasuji.locks import NO_LOCKS, PATIENCE, alone, exclusive, is_held
from arasuji.runs import int8_cache

WAITS = """
import sys, time
from pathlib import Path
from arasuji.locks import exclusive
place, log = map(Path, sys.argv[1:])
for _ in range(5):
    with exclusive(place), log.open("a") as file:
        print("begin", file=file, flush=True)
        time.sleep(0.02)
        print("end", file=file, flush=True)
"""
WRITES = """
import sys
from pathlib import Path
from arasuji import folders
place, name = Path(sys.argv[1]), sys.argv[2]
for _ in range(60):
    with folders.new_folder(place) as folder:
        for part in "abc":
            (folder / part).write_text(name)
        folders.seal(folder, {"by": name})
"""
HOLDS = """
import sys, time
from pathlib import Path
from arasuji.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def start(script, *words):
    return subprocess.Popen([sys.executable, "-c", script, *map(str, words)], stdout=subprocess.PIPE, text=True)


def test_of_two_processes_one_waits_for_the_other(tmp_path):
    both = [start(WAITS, tmp_path / "cache" / "thing", tmp_path / "log") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "log").read_text().split() == ["begin", "end"] * 10


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    holder = start(HOLDS, tmp_path / "thing")
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(tmp_path / "thing"):
        pass


def test_two_processes_that_write_one_folder_never_seal_a_mixture(tmp_path):
    both = [start(WRITES, tmp_path / "thing", name) for name in ("one", "other")]
    seen = set()
    while any(process.poll() is None for process in both):
        if found := folders.open_folder(tmp_path / "thing"):
            seen.add(found[1]["by"])
            assert found[1]["files"]["a"] == found[1]["files"]["b"] == found[1]["files"]["c"]
        time.sleep(0.001)
    assert [process.returncode for process in both] == [0, 0]
    folder, manifest = folders.open_folder(tmp_path / "thing")
    assert {(folder / part).read_text() for part in "abc"} == {manifest["by"]}
    assert seen
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def test_a_process_that_writes_alone_is_named_to_the_next_one_and_leaves_nothing(tmp_path):
    file, target = tmp_path / "deep" / ".lock", tmp_path / "deep"
    me = re.escape(f"another training writes {target} now (process {os.getpid()} on {platform.node()}); wait for it")
    with alone(file, target, "training"):
        began = time.monotonic()
        with pytest.raises(RunError, match=me), alone(file, target, "training"):
            pass
        assert time.monotonic() < began + PATIENCE + 0.5
    assert not target.exists()


@pytest.mark.parametrize("left", ["999999999\n{node}\n", "4711\nelsewhere\n", ""])
def test_no_one_is_told_to_delete_a_lock_that_is_held(left, tmp_path):
    file = tmp_path / ".lock"
    with alone(file, tmp_path, "training"):
        file.write_text(left.format(node=platform.node()))  # of a killed one, before the new one has written its number
        with pytest.raises(RunError, match=r"say another --out$") as refused, alone(file, tmp_path, "training"):
            pass
    assert "999999999" not in str(refused.value)


def test_a_lock_that_a_killed_process_may_have_left_is_named_where_the_file_system_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr("arasuji.locks._locked", lambda file, timeout: None)
    held = tmp_path / ".lock.held"
    held.write_bytes(b"\xff" * 2000)  # no number of a process
    with (
        pytest.raises(RunError, match=rf"if that has ended, delete {held}$"),
        alone(held.with_suffix(""), tmp_path, "x"),
    ):
        pass


def test_a_lock_that_is_held_for_a_moment_is_waited_for(tmp_path):
    file, held = tmp_path / ".lock", threading.Event()

    def looks() -> None:
        with alone(file, tmp_path, "look"):
            held.set()
            time.sleep(PATIENCE / 3)

    looking = threading.Thread(target=looks)
    looking.start()
    held.wait()
    with alone(file, tmp_path, "training"):
        pass
    looking.join()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to(path.with_name("aim"))])
def test_what_is_no_file_is_no_lock_and_stays(make, tmp_path):
    file = tmp_path / ".lock"
    make(file)
    with pytest.raises(StorageError, match=r"\.lock is a link or no regular file"), alone(file, tmp_path, "training"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("number", sorted(set(NO_LOCKS)), ids=errno.errorcode.get)
def test_a_file_system_without_locks_has_one_writer_too_and_caches_are_made_by_each(number, tmp_path, monkeypatch):
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    file = tmp_path / ".lock"
    for _ in range(2):
        with alone(file, tmp_path, "training"):
            refused = pytest.raises(RunError, match=rf"\(process {os.getpid()} on ")
            with refused, alone(file, tmp_path, "training"):
                pass
            assert file.exists()
            assert is_held(file)
        assert not is_held(file)
    assert not [*tmp_path.iterdir()]
    (tmp_path / ".lock.held").write_text("4711\nelsewhere\n")
    told = rf"process 4711 on elsewhere.* delete {file}\.held$"
    with pytest.raises(RunError, match=told), alone(file, tmp_path, "training"):
        pass
    with exclusive(tmp_path / "thing"), exclusive(tmp_path / "thing"):
        pass


def test_who_asks_whether_a_process_writes_gets_the_answer_and_leaves_nothing(tmp_path):
    file, held = tmp_path / ".lock", tmp_path / ".lock.held"
    assert not is_held(file)
    with alone(file, tmp_path, "training"):
        assert is_held(file)
        assert file.exists()
    file.write_text("of a killed one")
    assert not is_held(file)
    assert not [*tmp_path.iterdir()]
    held.write_text(f"999999999\n{platform.node()}\n")
    assert not is_held(file)
    held.write_text("4711\nelsewhere\n")
    assert is_held(file)


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to(path.with_name("aim"))])
def test_nothing_is_deleted_that_is_no_file_when_a_lock_is_looked_at(make, tmp_path):
    (tmp_path / "aim").touch()
    make(tmp_path / ".lock")
    assert not is_held(tmp_path / ".lock")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "aim"]


def test_a_lock_that_another_process_deletes_while_it_is_looked_at_does_not_come_back(tmp_path, monkeypatch):
    file = tmp_path / ".lock"
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: True)  # as before it was deleted
    assert not is_held(file)
    assert not [*tmp_path.iterdir()]


def write(folder, text):
    with folders.new_folder(folder) as fresh:
        (fresh / "text").write_text(text)
        folders.seal(fresh, {})


def test_a_folder_that_is_replaced_while_it_is_read_is_read_again(tmp_path):
    folder, read = tmp_path / "folder", []
    write(folder, "old")

    def reads() -> str:
        read.append((folder / "text").read_text())
        if len(read) < 3:
            write(folder, f"new {len(read)}")
        if len(read) == 2:
            raise FileNotFoundError
        return read[-1]

    assert folders.unchanged(folder, reads) == "new 2"
    assert read == ["old", "new 1", "new 2"]
    with pytest.raises(ZeroDivisionError):
        folders.unchanged(folder, lambda: 1 // 0)


def test_an_8_bit_form_of_weights_that_are_replaced_meanwhile_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ARASUJI_HOME", str(tmp_path / "home"))
    best = tmp_path / "best"
    write(best, "old")
    place = int8_cache.place_of("run", best)

    def make(target, replaced):
        (target / "form").write_text((best / "text").read_text())
        if replaced:
            write(best, "new")

    int8_cache.keep(place, best, lambda target: make(target, True))
    assert int8_cache.fresh(place, best) is None
    assert (int8_cache.keep(place, best, lambda target: make(target, False)) / "form").read_text() == "new"
    assert int8_cache.fresh(place, best) == place
    best.rename(tmp_path / "elsewhere")  # as for a moment, while a training replaces it
    assert int8_cache.fresh(place, best) is None
