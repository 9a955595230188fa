"""A forked process has none of the threads that its parent computes with, and would wait for them or be ended."""

from __future__ import annotations

import os

from arasuji.errors import ProcessError

_computing: int | None = None
"""The first process that opened a model or computed."""


def check() -> None:
    """To be called where models are opened and before they compute.

    Raises ProcessError in a process that was forked from one in which that had happened.
    """
    global _computing
    if _computing is None:
        _computing = os.getpid()
    if _computing != os.getpid():
        raise ProcessError(
            "this process was forked after a model had been opened, and has none of the threads that compute: "
            "start it with multiprocessing.get_context('spawn'), or open models only after the fork"
        )
