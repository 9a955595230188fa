"""The tasks of a stage in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import redirect_stderr
from multiprocessing.connection import Connection, wait
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor

from arasuji.errors import ArasujiError, CorpusError
from arasuji.speech import duration, say


class LocalExecutor(LocalPipelineExecutor):
    """datatrove's executor for one machine, which waits for no process that is gone, and says one line a stage.

    (datatrove's own has a pool of processes; where one of them is killed, as by a system that has no memory left, it
    waits for ever.) Raises CorpusError where a task has failed or was killed, when all other tasks have ended.
    """

    def run(self) -> None:
        """Run the stages before this one, and the tasks of this one that are not done yet."""
        if self.depends:
            self.depends.run()
        ranks = self.get_incomplete_ranks(range(self.local_rank_offset, self.local_rank_offset + self.local_tasks))
        if not ranks:
            return
        began = time.monotonic()
        self.save_executor_as_json()
        failed = dict(self._run_tasks(ranks))
        name = os.path.basename(self.logging_dir.path)
        if failed:
            rank, why = min(failed.items())
            others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise CorpusError(
                f"task {rank} of {name}{others} {why}; start the same pipeline again, which runs only what is missing"
            )
        say(f"{name}: {len(ranks)} of {self.tasks} tasks in {duration(time.monotonic() - began)}")

    def _run_tasks(self, ranks: list[int]) -> Iterator[tuple[int, str]]:
        """Run tasks, `workers` of them at a time, and give the number of each that failed, with the reason."""
        context = multiprocessing.get_context(self.start_method)
        if self.start_method == "forkserver":
            context.set_forkserver_preload(["arasuji.scale.datatrove"])
        waiting = list(ranks)
        running: dict[Any, tuple[int, Any]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    rank = waiting.pop(0)
                    last_words, says = context.Pipe(duplex=False)
                    process = context.Process(target=self._run_task, args=(rank, says), daemon=True)
                    process.start()
                    says.close()  # so that the pipe ends when the process does
                    running[last_words] = rank, process
                for ended in wait(list(running)):
                    rank, process = running.pop(ended)
                    if why := _why_failed(ended, process):
                        yield rank, why
        finally:
            for _, process in running.values():
                process.kill()

    def _run_task(self, rank: int, says: Connection) -> None:
        """One task, in a process of its own. What datatrove says stands in its log; the last words are why the task
        failed, or nothing."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the first process, which ends this one
        try:
            with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
                self._run_for_rank(rank, local_rank=rank)
            says.send_bytes(b"")
        except ArasujiError as error:
            says.send_bytes(f"failed: {error}".encode("utf-8", "replace"))
        except Exception as error:
            log = self.logging_dir.resolve_paths(f"logs/task_{rank:05d}.log")
            says.send_bytes(f"failed with {type(error).__name__}: {error} (see {log})".encode("utf-8", "replace"))


def _why_failed(last_words: Any, process: Any) -> str:
    """Why a task that has ended has failed; "" where it has not."""
    with last_words:
        try:
            said = last_words.recv_bytes().decode()
        except EOFError:
            said = None
    process.join()
    return f"was killed (exit code {process.exitcode})" if said is None else said
