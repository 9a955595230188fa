"""Small forms of the presets; run as a program, it trains them all, so that several processes can do it together.

torchrun --nproc-per-node 2 tests/tiny_presets.py CORPUS OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

from arasuji import api
from arasuji.config import Experiment

STEPS = 12
TINY = {
    "ngram": ("size=400", "batch_size=4", "epochs=2"),
    "lstm-article": ("embedding=16", "hidden=16", "layers=2", "batch_size=4", "train.max_length=20"),
    "lstm-article-fast": ("embedding=16", "hidden=16", "layers=2", "batch_size=4", "train.max_length=20",
                          "cutoffs=[100,2000]"),
    "lstm-small": ("size=400", "embedding=16", "hidden=16", "batch_size=4", "accumulate=2", "train.max_length=40"),
    "lstm-control": ("size=400", "embedding=16", "hidden=16", "batch_size=48", "train.max_length=200"),
    "lstm": ("size=400", "embedding=12", "hidden=16", "batch_size=4", "train.max_length=20"),
    "lstm-ngram": ("size=400", "embedding=16", "hidden=16", "batch_size=4", "train.max_length=20"),
    "gpt2-mini": ("size=400", "layers=1", "heads=2", "width=16", "context_length=64", "batch_size=4",
                  "train.max_length=40", "lora_rank=0"),
    "lora": ("size=400", "layers=1", "heads=2", "width=16", "context_length=64", "batch_size=4",
             "train.max_length=40", "lora_rank=4", "lora_dropout=0.1"),
}  # fmt: skip
"""A carried state, an adaptive softmax, accumulated gradients, every dropout, a mixture, Muon, adapters; with
`lstm-control`, other fields in each of several epochs."""
EXACT = {
    "ngram": (),
    "lstm-article": ("dropout=0",),
    "lstm-article-fast": ("dropout=0",),
    "lstm-small": ("dropout=0", "layer_dropout=0"),
    "lstm-control": ("dropout=0", "layer_dropout=0"),
    "lstm": ("dropout=0", "layer_dropout=0", "input_dropout=0", "embedding_dropout=0", "recurrent_dropout=0"),
    "lstm-ngram": ("dropout=0", "layer_dropout=0"),
    "gpt2-mini": ("dropout=0",),
    "lora": ("dropout=0", "lora_dropout=0"),
}
"""What leaves nothing to chance and little to rounding, besides float32."""


def settings(name: str) -> list[str]:
    """What `--set` takes."""
    chosen = ["validation_documents=4", "checkpoint_steps=5", "seed=3", *TINY[name]]
    return chosen if name == "lora" else [*chosen, "validations=60"]


def small(name: str, *more: str) -> Experiment:
    """The small form of a preset."""
    return api.experiment("gpt2-mini" if name == "lora" else name, [*settings(name), *more])


def train_all(corpus: Path, out: Path) -> None:
    """Every small preset for some steps, with nothing left to chance."""
    for name in TINY:
        chosen = small(name, "precision=fp32", *EXACT[name])
        list(api.train_events(chosen, corpus, out / name, max_steps=STEPS))


if __name__ == "__main__":
    train_all(Path(sys.argv[1]), Path(sys.argv[2]))
