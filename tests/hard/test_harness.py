"""The harness itself: what it would report."""

from __future__ import annotations

import signal


def test_a_case_is_told_by_its_end(zygote):
    assert zygote.run(["runs", "nowhere"]).problem() == ""
    assert zygote.run(["--help"]).code == 0
    assert "Traceback" in zygote.run(function="hard.endings:raises").problem()
    assert "did not end" in zygote.run(function="hard.endings:hangs", seconds=0.5).problem()
    assert zygote.run(function="hard.endings:dies").code == -signal.SIGSEGV
    full = zygote.run(function="hard.endings:takes", arguments=[3 * 2**30])
    assert "MemoryError" in full.problem()


def test_a_case_that_takes_memory_is_measured(zygote):
    taken = zygote.run(function="hard.endings:takes", arguments=[200 * 2**20])
    assert 150 * 2**20 < taken.memory < 300 * 2**20
    taken = zygote.run(function="hard.endings:takes_twice", arguments=[200 * 2**20])
    assert 350 * 2**20 < taken.memory < 500 * 2**20


def test_strace_fails_a_call_of_a_case(zygote, strace, tmp_path):
    running = zygote.start(function="hard.endings:writes", arguments=[str(tmp_path / "file")], stopped=True)
    running.trace("-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1")
    assert "Input/output error" in running.wait().err
