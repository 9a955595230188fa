"""`generate --resume` deletes what a kill or a loss of power has left of its own line, and nothing else."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def words(run):
    """The call, without its file."""
    return ("generate", run, "After", "-n", 3, "--max-length", 9, "--out")


@pytest.fixture
def whole(arasuji_, words, tmp_path) -> bytes:
    """What the call writes when nothing disturbs it."""
    arasuji_(*words, tmp_path / "whole.jsonl")
    return (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        lambda line: line + bytes(4096),
        lambda line: line.rstrip(b"\n"),
        lambda line: line.rstrip(b"\n") + bytes(4096),
        lambda line: line.decode().encode("utf-16"),
        lambda line: line.decode().encode("utf-16-le"),
        lambda line: line.decode().encode("utf-32-le"),
        lambda line: b"buy milk; do not delete",
        lambda line: b"buy milk\0\0\0\0\0\0\0\0",
        lambda line: b"[" * 100_000,
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(arasuji_, words, tmp_path, other):
    path = tmp_path / "texts.jsonl"
    arasuji_(*words, path, "--seed", 7)
    content = other(path.read_bytes().splitlines(keepends=True)[0])
    path.write_bytes(content)
    assert "line 1" in arasuji_(*words, path, "--resume").complaint
    assert path.read_bytes() == content


def test_what_stands_behind_the_last_text_of_a_call_is_left_as_it_is(arasuji_, words, whole, tmp_path):
    path = tmp_path / "texts.jsonl"
    for more in (b"{", bytes(512), b"my notes"):
        path.write_bytes(whole + more)
        assert "line 4 is of another call" in arasuji_(*words, path, "--resume").complaint
        assert path.read_bytes() == whole + more


@pytest.mark.parametrize("at", [0, 1, 20, 40, 200])
def test_a_line_that_was_cut_is_written_anew_whatever_zeros_stand_behind_it(arasuji_, words, whole, tmp_path, at):
    path = tmp_path / "texts.jsonl"
    first, second, third = whole.splitlines(keepends=True)
    for behind in (b"", bytes(9), bytes(4096), bytes(len(second) - at) + third):
        path.write_bytes(first + second[:at] + behind)
        arasuji_(*words, path, "--resume")
        assert path.read_bytes() == whole
