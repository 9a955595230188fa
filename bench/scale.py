"""How long each step takes, and what it costs, from a laptop to a thousand GPUs: the tables of docs/scale.md.

    python bench/scale.py [--gpu-hour 3] [--core-hour 0.04] [--share 0.3] [--parameters 134e6] ...

What was measured (`MEASURED`) is multiplied up; a GPU was not measured, so its speed is computed from its peak and a
share of it that is assumed. Every assumption is an option.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

MEASURED = {
    "inspect": 2e-3,  # of one core, a text of 104 words: 20 s of a processor for 8,814 synopses
    "texts": 300e-6,  # of one core: read, rules, signatures; twice what made texts of 80 words take
    "pairs": 11e-6,  # of one core: equal texts and near-duplicates, on at most 48 cores
    "clusters": 1e-6,  # in one process
    "corpus": 40e-6,  # in one process: split, write, hash
}
"""Seconds a text (docs/do/clean-many-machines.md); one process that does all of it took 387e-6 (docs/log.md)."""
LAPTOP = {"lora": 811, "all": 595, "write": 667, "read": 2000}
"""SmolLM2-135M on two cores, tokens a second: `pretrained-lora` and all weights for 20 and 60 minutes, 32 texts at once
in 8 bits, and scoring (1,000 a core; docs/log.md and docs/performance.md)."""
MEASURED_WEIGHTS = 134e6
OPERATIONS = {"lora": 4, "all": 6, "write": 2, "read": 2}
"""Of a GPU, a weight and token: forwards 2, the gradient by activations 2, that by weights 2 (Kaplan et al. 2020)."""


@dataclass(frozen=True)
class Machines:
    """What the columns of the tables stand for."""

    name: str
    cores: int
    gpus: int = 0


COLUMNS = (
    Machines("laptop, 2 cores", 2),
    Machines("1 GPU, 16 cores", 16, 1),
    Machines("8 GPUs, 128 cores", 128, 8),
    Machines("1,000 GPUs, 16,000 cores", 16_000, 1000),
)


def cleaning(texts: int, on: Machines) -> dict[str, tuple[float, float]]:
    """The steps that need no model: seconds, and seconds of all cores together, which are what is paid."""

    def step(parallel: float, alone: float, cores: int) -> tuple[float, float]:
        return texts * (parallel / cores + alone), texts * (parallel + alone)

    return {
        "inspect (one process)": step(0, MEASURED["inspect"], 1),
        "prepare, without near-duplicates": step(MEASURED["texts"], MEASURED["corpus"], on.cores),
        "near-duplicates": step(MEASURED["pairs"], MEASURED["clusters"], min(on.cores, 48)),
    }


def training(texts: int, on: Machines, kind: str, given: argparse.Namespace) -> float:
    """Seconds of one pass over the texts. Every GPU reads its part of a batch; then the gradient of each trained weight
    goes to the other machines and back, which is not hidden behind the reading."""
    tokens = texts * given.tokens
    if not on.gpus:
        return tokens / LAPTOP[kind] * given.parameters / MEASURED_WEIGHTS
    batch = min(tokens, given.batch)
    reading = batch * OPERATIONS[kind] * given.parameters / (on.gpus * given.peak * given.share)
    trained = given.parameters if kind == "all" else given.lora
    sending = 2 * 4 * trained / given.network if on.gpus > 8 else 0.0
    return tokens / batch * (reading + sending)


def using(texts: float, on: Machines, kind: str, share: float, given: argparse.Namespace) -> float:
    """Seconds in which texts are written or read: each GPU has its own, and waits for no other."""
    tokens = texts * given.tokens
    if not on.gpus:
        return tokens / LAPTOP[kind] * given.parameters / MEASURED_WEIGHTS
    return tokens * OPERATIONS[kind] * given.parameters / (on.gpus * given.peak * share)


def steps(texts: int, on: Machines, given: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Seconds and price of every step; a laptop costs nothing."""
    models = {
        "train with LoRA, one pass": training(texts, on, "lora", given),
        "train all weights, one pass": training(texts, on, "all", given),
        "write as many texts": using(texts, on, "write", given.write_share, given),
        "evaluate 5 %, 10,000 at most": using(min(10_000, texts / 20), on, "read", given.share, given),
    }
    by_core, by_gpu = (price / 3600 if on.gpus else 0.0 for price in (given.core_hour, given.gpu_hour))
    found = {name: (seconds, paid * by_core) for name, (seconds, paid) in cleaning(texts, on).items()}
    return found | {name: (seconds, seconds * on.gpus * by_gpu) for name, seconds in models.items()}


def shown(seconds: float, price: float) -> str:
    """A time in the unit that fits, and a price from 1 on."""
    units = (("years", 365 * 86400), ("days", 86400), ("h", 3600), ("min", 60), ("s", 1))
    unit, size = next(((unit, size) for unit, size in units if seconds >= 1.5 * size), ("", 0))
    time = f"{seconds / size:,.{1 if seconds < 9.5 * size else 0}f} {unit}" if unit else "under 2 s"
    return time + (f", {price:,.0f} $" if price >= 0.95 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    assumed = {
        "tokens": (150, "tokens a text (145 for the synopses of an anime catalogue)"),
        "parameters": (134e6, "weights of the model (SmolLM2-135M)"),
        "lora": (4.9e6, "weights of its LoRA"),
        "peak": (989e12, "operations a second of a GPU in bfloat16 (H100 and H200, dense)"),
        "share": (0.3, "of the peak, in training and scoring"),
        "write-share": (0.03, "of the peak, in writing"),
        "batch": (2**20, "tokens of a step, over all GPUs: larger ones hardly learn faster"),
        "network": (50e9, "bytes a second between machines of eight GPUs"),
        "gpu-hour": (3.0, "price of a GPU for an hour"),
        "core-hour": (0.04, "price of a core for an hour"),
    }
    for name, (value, what) in assumed.items():
        parser.add_argument(f"--{name}", type=float, default=value, help=f"{what}; default {value:g}")
    parser.add_argument("--texts", type=int, nargs="+", default=[10_000, 1_000_000, 1_000_000_000])
    given = parser.parse_args()
    for texts in given.texts:
        print(f"\n| {texts:,} texts | {' | '.join(on.name for on in COLUMNS)} |\n|{' --- |' * (len(COLUMNS) + 1)}")
        columns = [steps(texts, on, given) for on in COLUMNS]
        for step in columns[0]:
            print(f"| {step} | {' | '.join(shown(*column[step]) for column in columns)} |")


if __name__ == "__main__":
    main()
