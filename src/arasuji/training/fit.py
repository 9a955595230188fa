"""Fits a model to the minutes and the speed that it meets: more tokens can be read, more parameters pay."""

from __future__ import annotations

from pathlib import Path

from arasuji.config import Experiment
from arasuji.corpus import Corpus
from arasuji.tokenizers import Tokenizer
from arasuji.training.plan import make_plan
from arasuji.training.work import Work


def fitted(
    chosen: Experiment,
    corpus: Corpus,
    tokenizer: Tokenizer,
    base: Path | None,
    max_steps: int | None,
    deadline: float | None,
) -> tuple[Experiment, str]:
    """The experiment in the largest of its `sizes` that reads the tokens that this size needs, else in the smallest;
    and a sentence about the choice.

    The tokens are those of all epochs; or, where there is a limit, of the plan that is made for each size by the time
    that a few batches take. So a small corpus, whose epochs are short, counts as little time does.
    """
    sizes = sorted(chosen.sizes, key=lambda size: size.tokens, reverse=True)
    for size in sizes:
        experiment = chosen.sized(size)
        work = Work.build(experiment, corpus, tokenizer, base)
        batches = work.batches_of(0)
        tokens = batches.counted * experiment.train.epochs
        if tokens >= size.tokens and (max_steps, deadline) != (None, None):
            seconds = work.validation_seconds()
            plan = make_plan(work.model, batches, experiment.train, work.bf16, seconds, max_steps, deadline)
            tokens = plan.steps * plan.tokens_per_epoch // plan.steps_per_epoch
        if tokens >= size.tokens:
            break
    options = ", ".join(f"{name} {value}" for name, value in (size.model | size.train).items())
    return experiment, f"size {len(sizes) - sizes.index(size)} of {len(sizes)} for about {tokens:,} tokens: {options}"
