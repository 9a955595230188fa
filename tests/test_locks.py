"""Two processes that make the same thing at once do not mix it up, and a killed one is in nobody's way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

from arasuji import folders
from arasuji.locks import exclusive

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
