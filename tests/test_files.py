"""Whatever interrupts a write, a reader finds the old content or the new, whole."""

from __future__ import annotations

import errno
import os
import platform
import resource
import shutil
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from leftovers import GONE, work_on
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from arasuji import files, folders
from arasuji.errors import StorageError

KILLED = 9
MOMENTS = range(1, 18)
"""Changes of the file system that replacing a folder makes, each of which may be the last."""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A sealed folder that says "old", alone in its parent."""
    folder = tmp_path / "place" / "best"
    replace(folder, "old")
    return folder


def replace(folder: Path, text: str) -> None:
    with folders.new_folder(folder) as fresh:
        (fresh / "text.txt").write_text(text)
        (fresh / "inner").mkdir()
        (fresh / "inner" / "more.bin").write_bytes(bytes(range(256)) * 8)
        folders.seal(fresh, {"says": text})


def said(folder: Path) -> str:
    """What the folder that a reader would open says; its file and its manifest agree."""
    opened = folders.open_folder(folder)
    assert opened is not None
    assert (opened[0] / "text.txt").read_text() == opened[1]["says"]
    return opened[1]["says"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def at_call(monkeypatch, number: int, act) -> None:
    """Call `act` just before the `number`-th change of the file system that a replacement makes."""
    calls = 0

    def counted(function):
        def wrapper(*args, **options):
            nonlocal calls
            calls += 1
            if calls == number:
                act()
            return function(*args, **options)

        return wrapper

    for owner, name in (
        (Path, "rename"),
        (Path, "replace"),
        (Path, "mkdir"),
        (files, "sync"),
        (folders, "sync"),
        (shutil, "rmtree"),
    ):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


@contextmanager
def full_disk(limit: int = 1000):
    """Inside, no file can grow beyond `limit` bytes: a real refusal by the system, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


# One file


def test_a_text_is_written_whole_and_leaves_nothing_beside_it(tmp_path):
    files.write_text(tmp_path / "new" / "a.txt", "日本\n")
    files.write_text(tmp_path / "new" / "a.txt", "newer")
    assert (tmp_path / "new" / "a.txt").read_text("utf-8") == "newer"
    assert names(tmp_path / "new") == ["a.txt"]


def test_a_full_disk_keeps_the_old_text_and_is_one_line(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with full_disk(), pytest.raises(StorageError) as caught:
        files.write_text(path, "x" * 5000)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_library_that_cannot_write_is_one_line_too(tmp_path):
    tokenizer = Tokenizer(WordLevel({}))
    with (
        pytest.raises(StorageError, match=r"cannot write .*/folder: No such file"),
        files.disk_errors(tmp_path / "folder"),
    ):
        tokenizer.save(str(tmp_path / "folder" / "tokenizer.json"))
    with pytest.raises(ZeroDivisionError), files.disk_errors(tmp_path):
        print(1 / 0)


def test_a_text_that_cannot_be_encoded_keeps_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        files.write_text(path, "half a character: \ud83d")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("place", [".", "file/x.txt", "file/deeper/x.txt"])
def test_a_place_that_cannot_be_a_file_is_refused(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        files.write_text(Path(place), "x")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_link_is_written_through_only_where_that_is_asked_for(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    (tmp_path / "dangling.txt").symlink_to("nowhere.txt")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    before = names(tmp_path)
    for name in ("link.txt", "dangling.txt", "loop.txt"):
        with pytest.raises(StorageError, match=f"{name}: it is a link, and is left alone"):
            files.write_text(tmp_path / name, "new")
    assert (tmp_path / "real.txt").read_text() == "old"
    assert names(tmp_path) == before
    files.write_text(tmp_path / "link.txt", "new", follow=True)
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    with pytest.raises(StorageError, match="it is a link"):
        files.write_text(tmp_path / "loop.txt", "new", follow=True)


@pytest.mark.parametrize("machine", ["here", "here.example.org", ""])
def test_unfinished_work_is_that_of_one_target_alone(tmp_path, monkeypatch, machine):
    monkeypatch.setattr(platform, "node", lambda: machine)
    works = {name: work_on(tmp_path / name, "new") for name in ("corpus", "corpus.v2", "corpus.here-1-2-0123abcd")}
    for work in works.values():
        work.mkdir()
    assert all(files.unfinished(tmp_path / name, "new") == {work: False} for name, work in works.items())


def test_another_process_with_the_number_of_a_killed_writer_is_not_taken_for_it(tmp_path):
    path = tmp_path / "a.txt"
    parent = os.getppid()
    with files.working(path) as own:
        ours = f"-{os.getpid()}-{files.start_time(os.getpid()):.0f}-"
        began = files.start_time(parent)
        left = {own.replace(ours, f"-{parent}-{began - ago:.0f}-"): ago == 0 for ago in (0, 100)}
    for name in left:
        (tmp_path / f"{name}.tmp").touch()
    assert files.unfinished(path, "tmp") == {tmp_path / f"{name}.tmp": lives for name, lives in left.items()}


def test_a_process_that_has_ended_and_was_not_waited_for_is_not_running():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        began = files.start_time(child.pid)
        assert files.is_running(child.pid, began)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not files.is_running(child.pid, began)


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the system itself keeps the time at which a process began")
def test_a_process_is_the_same_one_after_the_clock_was_set(monkeypatch):
    began = files.start_time(os.getpid())
    started = psutil.boot_time()
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: started + 3600)
    assert files.is_running(os.getpid(), began)


def test_the_next_write_deletes_what_a_killed_one_has_left_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    others = {".a.txt.tmp", work_on(tmp_path / "b.txt", "tmp").name, f".a.txt.another-{GONE}-1-0123abcd.tmp"}
    for name in others:
        (tmp_path / name).write_text("of another program, file or machine")
    child = os.fork()
    if child == 0:
        with files.new_file(path):
            os._exit(KILLED)
    os.waitpid(child, 0)
    assert len(names(tmp_path)) == 4
    with files.new_file(path) as file:
        files.write_text(path, "quick")
        assert path.read_text() == "quick"
        file.write("slow")
    assert path.read_text() == "slow"
    assert set(names(tmp_path)) == {"a.txt", *others}


def refuse(monkeypatch, function: str, error: int, folders_alone: bool = False) -> None:
    """Let a function of the os module fail; with `folders_alone` where it is called with an open folder."""
    real = getattr(os, function)

    def failing(*args, **options):
        if folders_alone and not stat.S_ISDIR(os.fstat(args[0]).st_mode):
            return real(*args, **options)
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, function, failing)


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EOPNOTSUPP, errno.EACCES])
def test_a_file_system_that_cannot_sync_folders_is_written_to(target, monkeypatch, error):
    refuse(monkeypatch, "fsync", error, folders_alone=True)
    files.write_text(target.parent / "deeper" / "a.txt", "new")
    replace(target, "new")
    assert said(target) == "new"


def test_an_error_after_the_old_was_replaced_says_that_the_new_is_there(target, monkeypatch):
    path = target.parent / "a.txt"
    files.write_text(path, "old")
    refuse(monkeypatch, "fsync", errno.EIO, folders_alone=True)
    with pytest.raises(StorageError, match=r"a\.txt is written, but may be lost"):
        files.write_text(path, "new")
    assert path.read_text() == "new"
    with pytest.raises(StorageError, match=r"cannot write .*/best: Input/output error; what stood there before"):
        replace(target, "new")  # its manifest is the first file of which the name cannot be synced
    assert said(target) == "old"
    monkeypatch.undo()
    sync_names = folders.sync_names
    monkeypatch.setattr(
        folders, "sync_names", lambda folder: sync_names(folder if folder != target.parent else Path("/nowhere"))
    )
    with pytest.raises(StorageError, match="best is written, but may be lost"):
        replace(target, "new")
    assert said(target) == "new"


# A folder


def test_a_new_folder_takes_the_old_ones_place_and_leaves_no_litter(target):
    replace(target, "new")
    assert said(target) == "new"
    assert names(target.parent) == ["best"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_error_while_filling_leaves_the_old_folder_alone(target, error):
    def fill():
        with folders.new_folder(target) as fresh:
            (fresh / "text.txt").write_text("half")
            raise error("in the middle")

    with pytest.raises(StorageError if error is OSError else error):
        fill()
    assert said(target) == "old"
    assert names(target.parent) == ["best"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_error_at_any_moment_leaves_old_or_new(target, monkeypatch, moment):
    def refuse():
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        at_call(patched, moment, refuse)
        try:
            replace(target, "new")
            assert said(target) == "new"
        except StorageError:
            assert said(target) in ("old", "new")
            assert target.is_dir()
    replace(target, "newest")
    assert said(target) == "newest"
    assert names(target.parent) == ["best"]


@pytest.mark.parametrize(("after", "stays"), [("the first", "old"), ("the second", "new")])
def test_a_signal_just_after_a_rename_leaves_a_whole_folder_in_its_place(target, monkeypatch, after, stays):
    rename = Path.rename

    def signalled(path: Path, new: Path) -> None:
        rename(path, new)
        if path == target if after == "the first" else new == target:
            raise SystemExit(143)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", signalled)
        with pytest.raises(SystemExit):
            replace(target, "new")
    assert (target / "text.txt").read_text() == stays
    replace(target, "newest")
    assert said(target) == "newest"
    assert names(target.parent) == ["best"]


@pytest.mark.parametrize("first", [True, False], ids=["nothing there before", "an old one there"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_any_moment_leaves_old_or_new(target, monkeypatch, moment, first):
    if first:
        shutil.rmtree(target)
    child = os.fork()
    if child == 0:  # a kill runs no `finally`
        at_call(monkeypatch, moment, lambda: os._exit(KILLED))
        replace(target, "new")
        os._exit(0)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    if not killed:
        assert said(target) == "new"
    elif first:
        assert folders.open_folder(target) is None or said(target) == "new"
    else:
        assert said(target) in ("old", "new")
    replace(target, "newest")
    assert said(target) == "newest"
    assert names(target.parent) == ["best"]


def test_the_moments_above_cover_a_whole_replacement(target, monkeypatch):
    child = os.fork()
    if child == 0:
        at_call(monkeypatch, MOMENTS.stop, lambda: os._exit(KILLED))
        replace(target, "new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_full_disk_keeps_the_old_weights(target):
    with full_disk(), pytest.raises(StorageError) as caught, folders.new_folder(target) as fresh:
        save_file({"weights": np.zeros(10_000, np.float32)}, fresh / "model.safetensors")
    assert said(target) == "old"
    assert names(target.parent) == ["best"]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["flip", "shorten", "lengthen", "remove"])
@pytest.mark.parametrize("name", ["text.txt", "inner/more.bin", folders.MANIFEST])
def test_a_damaged_folder_does_not_verify(target, name, damage):
    path = target / name
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[0] ^= 1
    changed = {"shorten": content[:-2], "lengthen": content + b"x"}.get(damage, content)
    path.unlink() if damage == "remove" else path.write_bytes(changed)
    assert folders.verified(target) is None
    assert folders.open_folder(target) is None


@pytest.mark.parametrize("manifest", ["", "[]", "null", "{}", '{"files": []}', '{"files": {"text.txt": 3}}', "\udcff"])
def test_a_manifest_that_says_something_else_does_not_verify(target, manifest):
    (target / folders.MANIFEST).write_bytes(manifest.encode("utf-8", "surrogateescape"))
    assert folders.verified(target) is None


def test_a_damaged_folder_is_stood_in_for_by_the_one_it_replaced(target):
    target.rename(work_on(target, "old"))
    target.mkdir()
    (target / "text.txt").write_text("half-written")
    assert said(target) == "old"


def test_dot_means_the_folder_one_stands_in(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    replace(Path("."), "dot")
    monkeypatch.chdir(tmp_path / "here")  # the folder is a new one
    assert said(Path(".")) == "dot"
    assert names(tmp_path) == ["here"]


def test_a_relative_place_is_taken_from_where_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    replace(Path("a/../b"), "relative")
    assert said(tmp_path / "b") == "relative"


def test_a_link_in_the_folders_place_is_left_alone(target):
    link = target.parent / "link"
    link.symlink_to("best")
    with pytest.raises(StorageError, match="is a link"):
        replace(link, "new")
    assert link.is_symlink()
    assert said(target) == "old"
    assert folders.open_folder(link) is None
    assert names(target.parent) == ["best", "link"]


def test_a_link_on_the_way_to_a_folder_is_followed(target, tmp_path):
    (tmp_path / "elsewhere").symlink_to("place")
    replace(tmp_path / "elsewhere" / "best", "new")
    assert said(target) == "new"
    assert names(target.parent) == ["best"]


@pytest.mark.parametrize("inner", ["notes.txt", "deeper/notes.txt"])
def test_a_folder_that_holds_anything_else_is_left_alone(target, inner):
    path = target / inner
    path.parent.mkdir(exist_ok=True)
    path.write_text("a person's")
    with pytest.raises(StorageError, match="which was not written with it"):
        replace(target, "new")
    assert path.read_text() == "a person's"
    assert said(target) == "old"


def test_a_sealed_folder_within_it_and_what_a_kill_has_left_go_with_it(target):
    replace(target / "index", "within")
    half = work_on(target / "index", "new")
    half.mkdir()
    (half / "half").write_text("half")
    replace(target, "new")
    assert said(target) == "new"
    assert names(target) == ["inner", "manifest.json", "text.txt"]


def test_a_folder_of_nobodys_manifest_is_left_alone(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_bytes(b"x")
    with pytest.raises(StorageError, match=r"one\.jpg"):
        replace(tmp_path / "photos", "new")
    assert names(tmp_path / "photos") == ["one.jpg"]


@pytest.mark.parametrize("way", ["new", "old"])
def test_a_link_among_the_names_that_are_worked_with_is_not_followed(target, tmp_path, way):
    (tmp_path / "canary").mkdir()
    (tmp_path / "canary" / "file").write_text("keep")
    work_on(target, way).symlink_to(tmp_path / "canary")
    replace(target, "new")
    assert names(tmp_path / "canary") == ["file"]
    assert said(target) == "new"
    folders.seal(tmp_path / "canary", {"said": "canary"})
    (target / "text.txt").write_text("damaged")
    assert folders.open_folder(target) is None


# What a stranger's manifest may say


def reseal(folder: Path, **entries) -> None:
    manifest = files.read_json(folder / folders.MANIFEST)
    manifest["files"] |= entries
    files.write_json(folder / folders.MANIFEST, manifest)


@pytest.mark.parametrize(
    "name", ["/dev/zero", "../outside", "inner/../text.txt", "./text.txt", "", ".", "..", "a\\b", "c:x", "text.txt/"]
)
def test_a_manifest_that_names_a_file_elsewhere_does_not_verify(target, name):
    (target.parent / "outside").write_text("secret")
    reseal(target, **{name: {"bytes": 6, "sha256": files.file_hash(target.parent / "outside")}})
    assert folders.verified(target) is None


@pytest.mark.parametrize("kind", ["link", "linked folder", "pipe", "folder"])
def test_only_regular_files_verify(target, kind):
    entry = {"bytes": 0, "sha256": "0"}
    (target / "odd").mkdir() if kind == "folder" else None
    if kind == "pipe":
        os.mkfifo(target / "odd")
    elif kind == "link":
        (target / "odd").symlink_to("text.txt")
        entry = {"bytes": 3, "sha256": files.file_hash(target / "text.txt")}
    elif kind == "linked folder":
        (target / "odd").symlink_to("inner")
        entry = {"bytes": 2048, "sha256": files.file_hash(target / "inner" / "more.bin")}
    reseal(target, **{"odd/more.bin" if kind == "linked folder" else "odd": entry})
    assert folders.verified(target) is None


def test_a_pipe_for_a_manifest_is_not_waited_for(target):
    (target / folders.MANIFEST).unlink()
    os.mkfifo(target / folders.MANIFEST)
    assert folders.verified(target) is None


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": NaN}', "9" * 5000, '{"a": 1', "\x00"])
def test_json_that_is_none_is_one_kind_of_error(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        files.read_json(tmp_path / "a.json")


def test_a_file_beyond_its_bound_is_not_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="larger than 1,000 bytes"):
        files.read_bytes(tmp_path / "sparse", 1000)


def test_lines_are_appended_and_never_through_a_link(tmp_path):
    files.append(tmp_path / "log", "one\n")
    files.append(tmp_path / "log", "二\n")
    assert (tmp_path / "log").read_text("utf-8") == "one\n二\n"
    (tmp_path / "link").symlink_to("log")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "dangling", "pipe"):
        with pytest.raises(StorageError, match="left alone"):
            files.append(tmp_path / name, "more\n")
    assert (tmp_path / "log").read_text("utf-8") == "one\n二\n"
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        replace(tmp_path / "file" / "best", "new")
    assert names(tmp_path) == ["file"]


def test_two_writers_of_one_folder_do_not_harm_each_other(target):
    with folders.new_folder(target) as one, folders.new_folder(target) as other:
        assert one != other
        for folder, text in ((one, "one"), (other, "other")):
            (folder / "text.txt").write_text(text)
            folders.seal(folder, {"says": text})
    assert said(target) == "one"  # the last one to come
    assert names(target.parent) == ["best"]


def test_a_writer_that_comes_between_the_steps_of_another_is_replaced_and_not_in_the_way(target, monkeypatch):
    for moment in MOMENTS:
        with monkeypatch.context() as patched:
            at_call(patched, moment, lambda patched=patched: (patched.undo(), replace(target, "quick")))
            replace(target, "slow")
        assert said(target) in ("slow", "quick")
        assert names(target.parent) == ["best"]


def test_two_kills_in_a_row_keep_the_newest_folder(target):
    target.rename(work_on(target, "old"))
    replace(target, "newer")
    target.rename(work_on(target, "new"))
    child = os.fork()
    if child == 0:
        with folders.new_folder(target) as fresh:
            (fresh / "text.txt").write_text("half")
            os._exit(KILLED)
    os.waitpid(child, 0)
    assert said(target) == "newer"
    replace(target, "newest")
    assert said(target) == "newest"
    assert names(target.parent) == ["best"]


def test_what_kills_have_left_of_a_folder_is_tidied_up_only_where_it_is_whole(target):
    shutil.copytree(target, work_on(target, "old"))
    (target / "text.txt").write_text("damaged")
    folders.tidy(target)
    assert said(target) == "old"
    shutil.rmtree(target)
    work_on(target, "new").mkdir()
    folders.tidy(target)
    assert said(target) == "old"
    assert names(target.parent) == ["best"]


def test_work_of_a_writer_that_lives_is_left_alone_and_of_a_dead_one_removed(target):
    with folders.new_folder(target) as living:
        (living / "text.txt").write_text("half")
        child = os.fork()
        if child == 0:
            with folders.new_folder(target):
                os._exit(KILLED)
        os.waitpid(child, 0)
        assert len(names(target.parent)) == 3
        replace(target, "another's")
        assert (living / "text.txt").read_text() == "half"
        assert len(names(target.parent)) == 2
        folders.seal(living, {"says": "half"})
    assert said(target) == "half"
    assert names(target.parent) == ["best"]


def test_what_a_person_puts_there_while_a_folder_is_written_stays(tmp_path):
    out = tmp_path / "out"

    def write() -> None:
        with folders.new_folder(out) as fresh:
            folders.seal(fresh, {})
            out.mkdir()
            (out / "mine").touch()

    with pytest.raises(StorageError, match="it holds 'mine'"):
        write()
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["out", "out/mine"]
