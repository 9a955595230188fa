"""A process that was forked after a model was opened is refused.

It lacks the threads with which its parent computes, so it would wait for them for ever, or be killed.
"""

from __future__ import annotations

import os

from arasuji.errors import ProcessError

_computing: int | None = None
"""The first process that opened a model or computed."""


def check() -> None:
    """Call this where a model is opened, and before it computes.

    Raises ProcessError in a process that was forked from one that had called it.
    """
    global _computing
    if _computing is None:
        _computing = os.getpid()
    if _computing != os.getpid():
        raise ProcessError(
            "this process was forked after a model had been opened, and has none of the threads that compute: "
            "start it with multiprocessing.get_context('spawn'), or open models only after the fork"
        )
