"""What a sweep has found: the settings that were tried, and what the texts are like that a run writes with them."""

from __future__ import annotations

from typing import Any, Literal

from arasuji.config import SamplingConfig
from arasuji.evaluation.answer import Count, Part
from arasuji.evaluation.report import Judged, RealTexts


class Tried(Part):
    """What a run writes with one setting."""

    sampling: SamplingConfig
    stage: Literal[1, 2]
    """Which stage the figures are of."""
    figures: RealTexts
    repeats: bool
    """Whether the texts repeat more of themselves than real texts do, beyond chance."""
    copies: bool
    """Whether more of them than of real texts have 13 words in a row from a training text, beyond chance."""

    @property
    def judge(self) -> Judged | None:
        """How well the texts are distinguished from real ones; None where too few are long enough."""
        return self.figures.samples.judge

    @property
    def too_much(self) -> bool:
        """Whether the texts repeat or copy more than real ones do, beyond chance."""
        return self.repeats or self.copies

    @property
    def rank(self) -> tuple[bool, bool, float]:
        """The best setting has the least: it is judged, does not repeat or copy too much, and is the hardest to
        distinguish from real texts."""
        return self.judge is None, self.too_much, self.judge.auroc if self.judge else 1.0


class Stage(Part):
    """What was read in one stage."""

    texts: Count
    """The texts that each setting has written."""
    judged: Count
    """The texts of each setting, and as many real ones, that the judge has read."""
    real: RealTexts
    """Real texts, which are judged beside other real ones."""
    splits: dict[str, Count]
    """The real texts that written ones are judged beside, by their split."""


class Sweep(Part):
    """The settings that were tried with a run, the best one first; those of the second stage come before all
    others."""

    command: str = ""
    run: str
    corpus: str
    """The hash of the corpus."""
    seed: int
    reader: str
    """The base model by which the texts were judged."""
    words: Count
    """The number of words that texts are cut to before they are compared."""
    choices: dict[str, list[Any]]
    """The values that were tried of each setting."""
    now: SamplingConfig
    """The settings of the run before the sweep."""
    stages: tuple[Stage, Stage]
    tried: list[Tried]
    versions: dict[str, str]

    @property
    def best(self) -> Tried:
        return self.tried[0]

    @property
    def before(self) -> Tried:
        """The settings of the run before the sweep, which are always in both stages."""
        return next(tried for tried in self.tried if tried.sampling == self.now)

    @property
    def chosen(self) -> dict[str, Any]:
        """The settings that were varied or named, as the best one has them."""
        return {name: getattr(self.best.sampling, name) for name in self.choices}

    @property
    def shown_better(self) -> bool:
        """Whether the best setting is shown to be better than those of the run before: their intervals do not meet."""
        best, before = self.best.judge, self.before.judge
        return best is not None and (before is None or best.auroc_high < before.auroc_low)
