"""The mean of the weights of several fine-tuned runs: a model soup (Wortsman et al. 2022, arXiv 2203.05482).

Runs that were fine-tuned from one base lie close together, so the mean of their weights is a model too, and often
a better one than each of them: what one has learnt by heart, the others have not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from arasuji import device
from arasuji.corpus import Corpus
from arasuji.errors import OptionError, RunError
from arasuji.evaluation.score import score
from arasuji.runs import RunDirectory, RunFacts
from arasuji.training.lock import run_lock
from arasuji.training.work import scored_records


def average(runs: Sequence[Path], out: Path, corpus: Corpus) -> RunDirectory:
    """Write a run whose best model has the mean of the weights of the best models of `runs`, which were fine-tuned on
    the corpus. See `api.average`."""
    directories = [RunDirectory(run) for run in runs]
    first = _common([(directory.path, directory.facts) for directory in directories], corpus)
    made = RunDirectory(out)
    with run_lock(out):
        if not made.is_new:
            raise RunError(f"{out} exists already; say another --out")
        trained = directories[0].load_best(torch.float32)
        mean = dict(trained.model.named_parameters())
        with torch.no_grad():
            for directory in directories[1:]:
                other = dict(directory.load_best(torch.float32).model.named_parameters())
                if {n: p.shape for n, p in other.items()} != {n: p.shape for n, p in mean.items()}:
                    raise RunError(f"the weights of {directory.path} do not have the shapes of those of {runs[0]}")
                for name, parameter in mean.items():
                    parameter.add_(other[name])
            for parameter in mean.values():
                parameter.div_(len(runs))
        trained.model.to(device.here())
        records = scored_records(corpus, first.experiment)
        with device.autocast(device.dtype("auto") == torch.bfloat16):
            found = score(trained.model, trained.tokenizer, records, format=trained.format)
        stepped = [[line for line in directory.history() if "tokens" in line][-1:] for directory in directories]
        ends = [line for last in stepped for line in last]  # a run without its log costs nothing that is known
        cost = {key: sum(line[key] for line in ends) for key in ("step", "tokens", "seconds")}
        facts = first.model_copy(
            update={"name": f"{first.name}, mean of {len(runs)}", "averaged": list(map(str, runs))}
        )
        made.start(first.experiment, facts.model_dump(exclude={"experiment"}))
        made.save_tokenizer(trained.tokenizer)
        best = {"base": first.base, "step": cost["step"], "bits_per_byte": found.bits_per_byte}
        made.save_best(first.experiment, trained.model, trained.tokenizer, best)
        made.log(made.metrics, cost | {"bits_per_byte": found.bits_per_byte})
    return made


def _common(of: Sequence[tuple[Path, RunFacts]], corpus: Corpus) -> RunFacts:
    """What is the same of all runs, as the first one has it. Raises OptionError where they have no mean."""
    if len({path.resolve() for path, _ in of}) < max(2, len(of)):
        raise OptionError("a mean is one of two runs or more, each named once")
    path, first = of[0]
    if not first.base_files:
        raise OptionError(f"{path} was trained from nothing: only runs that were fine-tuned from one base have a mean")
    for other, facts in of:
        if facts.corpus.hash != corpus.hash:
            raise OptionError(f"{other} was trained on another corpus: say --corpus DIR, or leave it out")
        if (facts.base_files, facts.tokens) != (first.base_files, first.tokens):
            raise OptionError(f"{other} was fine-tuned from another base or has other tokens than {path}: leave it out")
        if facts.experiment.document != first.experiment.document:
            raise OptionError(f"{other} reads other fields before a text than {path}: leave it out")
    return first
