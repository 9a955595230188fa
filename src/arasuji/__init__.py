"""arasuji (あらすじ, "synopsis"): new synopses from old ones, by an LSTM and by a fine-tuned GPT-2."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["evaluate", "experiment", "generate", "load", "prepare", "train", "train_events", "write"]


def __getattr__(name: str) -> Any:
    """The names of `arasuji.api`, imported when first used: torch takes seconds."""
    if name in __all__:
        from arasuji import api

        return getattr(api, name)
    raise AttributeError(f"module 'arasuji' has no attribute {name!r}")
