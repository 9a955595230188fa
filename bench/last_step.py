"""The weights of a run's last step as a run of its own, so that it can be compared with the run's best ones.

    python bench/last_step.py RUN OUT

The article keeps the model with the lowest training loss, which is its last; a run's `best/` is the one with the best
validation score. `arasuji compare RUN OUT` then says what the article's choice costs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from arasuji.config import Experiment
from arasuji.errors import RunError
from arasuji.runs import RunDirectory


def last_step(run: RunDirectory, out: RunDirectory) -> int:
    """Make the run folder `out`; the step whose weights it has."""
    if out.path.exists():
        raise RunError(f"{out.path} exists already: say another folder")
    found = run.load_last()
    if found is None:
        raise RunError(f"{run.path} has no last checkpoint")
    tensors, state = found
    experiment = Experiment(**run.manifest["experiment"])
    trained = run.load_best(torch.float32)
    trained.model.restore({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    out.start(experiment, {key: run.manifest[key] for key in ("name", "corpus", "base")})
    for line in run.history():
        out.log(out.metrics, line)
    step = int(state["progress"]["step"])
    validated = [line["bits_per_byte"] for line in run.history() if "bits_per_byte" in line]
    facts = {"base": trained.facts["base"], "step": step, "bits_per_byte": validated[-1]}
    out.save_best(experiment, trained.model, trained.tokenizer, facts)
    return step


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    chosen = parser.parse_args()
    try:
        step = last_step(RunDirectory(chosen.run), RunDirectory(chosen.out))
    except RunError as error:
        sys.exit(str(error))
    print(f"step {step:,} is in {chosen.out}/best")
