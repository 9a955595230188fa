"""arasuji (あらすじ, "synopsis"): new synopses from old ones, by an LSTM and by a fine-tuned GPT-2.

`import arasuji` offers what `arasuji.api` offers: `arasuji.train`, `arasuji.generate` and the others.
"""
# ruff: noqa: F403, F405 (type checkers take the names from the star import below)

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "PROMPTS",
    "Attention",
    "Card",
    "Corpus",
    "Explanation",
    "Inspection",
    "Memory",
    "Piece",
    "Record",
    "Redrawn",
    "RunDirectory",
    "Sample",
    "Saved",
    "Score",
    "Search",
    "Started",
    "Stepped",
    "Stopped",
    "Sweep",
    "Taught",
    "TrainEvent",
    "TrainedModel",
    "Trial",
    "TrialEnded",
    "TrialStarted",
    "TuneEvent",
    "Validated",
    "Watched",
    "Wishes",
    "attention",
    "average",
    "check_prompts",
    "compare",
    "evaluate",
    "experiment",
    "explain",
    "export",
    "generate",
    "import_model",
    "inspect",
    "load",
    "memory",
    "prepare",
    "sweep",
    "titles",
    "train",
    "train_events",
    "tune",
    "tune_events",
    "variation_of",
    "write",
]
"""A copy of `api.__all__`, since that can only be read after torch is imported, which takes seconds."""

if TYPE_CHECKING:
    from arasuji.api import *
else:

    def __getattr__(name: str) -> object:
        """The names of `arasuji.api`, imported when one of them is first used."""
        if name in __all__:
            from arasuji import api

            return getattr(api, name)
        raise AttributeError(f"module 'arasuji' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
