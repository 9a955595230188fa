"""The model of a disk after a loss of power: what it keeps, and what it may lose."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hard.power import states_of
from hard.recorded import Recording

CREATE = 'openat(AT_FDCWD</>, "/r/new", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3</r/new>'
WRITE = 'write(3</r/new>, "content!", 8) = 8'
RENAME = 'rename("/r/new", "/r/old") = 0'
SYNC_FILE = "fsync(3</r/new>) = 0"
SYNC_FOLDER = ['openat(AT_FDCWD</>, "/r", O_RDONLY) = 4</r>', "fsync(4</r>) = 0", "close(4</r>) = 0"]


def hexed(line: str) -> str:
    """As strace -xx writes it."""
    text = re.sub(r'(?<=")[^",]+(?=")', lambda match: "".join(f"\\x{byte:02x}" for byte in match[0].encode()), line)
    return re.sub(r"(?<=<)/[^>]*(?=>)", lambda match: "".join(f"\\x{byte:02x}" for byte in match[0].encode()), text)


def after(*calls: str) -> tuple[list[dict], list[dict]]:
    """What may stand in a folder with the file "old" during these calls, and after them."""
    recording = Recording(Path("/r"), {"old": b"old"}, Path("/"))
    recording.read("\n".join(f"7  {hexed(call)}" for call in calls))
    states = states_of(recording, random.Random(0))
    return tuple([state.tree for state in states if state.done is done] for done in (False, True))


def test_what_was_synced_with_its_name_is_all_that_is_found():
    assert after(CREATE, WRITE, SYNC_FILE, RENAME, *SYNC_FOLDER)[1] == [{"old": b"content!"}]


def test_a_rename_replaces_a_file_as_a_whole():
    during, _ = after(CREATE, WRITE, SYNC_FILE, RENAME, *SYNC_FOLDER)
    assert {state["old"] for state in during} == {b"old", b"content!"}


@pytest.mark.parametrize("content", [b"", bytes(8), b"cont", b"content!"], ids=["lost", "zeroed", "halved", "whole"])
def test_a_file_without_an_fsync_has_its_new_name_and_any_content(content):
    assert {"old": content} in after(CREATE, WRITE, RENAME, *SYNC_FOLDER)[1]


def test_a_later_write_may_be_there_before_an_earlier_one():
    assert {"old": bytes(8) + b"more"} in after(CREATE, WRITE, 'write(3</r/new>, "more", 4) = 4', RENAME, *SYNC_FOLDER)[
        1
    ]


def test_a_file_with_an_fsync_may_be_without_its_name():
    assert {"old": b"old"} in after(CREATE, WRITE, SYNC_FILE)[1]
    assert {"old": b"old", "new": b"content!"} in after(CREATE, WRITE, SYNC_FILE)[1]


def test_a_later_name_may_be_there_before_an_earlier_one():
    _, found = after('mkdir("/r/a", 0777) = 0', 'mkdir("/r/b", 0777) = 0')
    assert [sorted(state) for state in found] == [["a", "b", "old"], ["old"], ["b", "old"], ["a", "old"]]


def test_what_was_deleted_may_come_back():
    assert after('unlink("/r/old") = 0')[1] == [{}, {"old": b"old"}]


def test_calls_that_another_thread_interrupts_are_followed():
    begun, ended = WRITE.replace(" = 8", "").replace(", 8)", ", <unfinished ...>"), "<... write resumed>8) = 8"
    assert after(CREATE, begun, ended, SYNC_FILE, RENAME, *SYNC_FOLDER)[1] == [{"old": b"content!"}]


def test_a_call_with_one_argument_that_another_thread_interrupts_is_followed():
    begun, ended = 'unlink("/r/old" <unfinished ...>', "<... unlink resumed>) = 0"
    assert after(begun, ended)[1] == [{}, {"old": b"old"}]


def test_a_call_that_failed_has_done_nothing():
    assert after('unlink("/r/old") = -1 EACCES (Permission denied)')[1] == [{"old": b"old"}]
