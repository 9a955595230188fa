"""A bounded search for the options with which a preset needs the fewest bits per byte.

Each trial trains a run of its own with other values of the searched options. `space` reads what is searched, `study`
opens the journal of the trials, `search` is the loop over them, `preset` writes the best values as a TOML file, and
`shown` shows a search on stderr.

`grid`, `sweep` and `swept` are a search of another kind: for the sampling settings of a run that is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from arasuji.training.events import TrainEvent
from arasuji.tuning.space import Space, Value


class Trial(BaseModel):
    """A trial that has ended."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    number: int
    """Which trial of the search it is, counted from 1."""
    values: dict[str, Value]
    """The values of the searched options."""
    state: Literal["complete", "pruned", "failed"] = "complete"
    """`pruned`: it was ended early, since it did worse than others at the same point. `failed`: it could not be trained
    to its end with these values."""
    reason: str = ""
    """Why it ended."""
    bits_per_byte: float | None = None
    """The best score on the validation split; null where there is none."""
    best_step: int = 0
    steps: int = 0
    """Steps that were taken."""
    seconds: float = 0.0
    """The training time, validations included."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def run(self) -> str:
        """The run folder, as a path in the folder of the search."""
        return f"trials/{self.number:04}"


class Search(BaseModel):
    """What a search was asked for, and its trials."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    preset: str
    space: Space
    """The searched options, and the settings of all trials."""
    corpus: str
    """The hash of the corpus."""
    minutes: float | None
    """The minutes of each trial; null where there is no limit."""
    max_steps: int | None
    """The steps of each trial; null where there is no limit."""
    seed: int
    """The seed of the search."""
    lower_bound: bool
    """Whether the scores are lower bounds, since the tokenizer loses something that is not charged."""
    trials: list[Trial] = []
    ended: str = ""
    """Why the search ended."""

    @property
    def best(self) -> Trial | None:
        """The trial with the best score of those that were trained to their end; None where there is none yet."""
        complete = [trial for trial in self.trials if trial.state == "complete"]
        return min(complete, key=lambda trial: trial.bits_per_byte or 0.0, default=None)


@dataclass(frozen=True)
class TrialStarted:
    """A trial begins, or is continued where a killed search has left it."""

    number: int
    trials: int
    """How many trials the search has."""
    values: dict[str, Value]


@dataclass(frozen=True)
class TrialEnded:
    """A trial has ended; `best` says whether its score is the best so far."""

    trial: Trial
    best: bool


TuneEvent = TrialStarted | TrainEvent | TrialEnded | Search
"""The events of a search: for each trial its start, the events of its training and its end; at last the search."""
