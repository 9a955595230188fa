"""How the families of our own are saved: weights as safetensors, options as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from safetensors.torch import load_file, save_file
from torch import Tensor


def save(folder: Path, config: BaseModel, vocabulary_size: int, tensors: dict[str, Tensor]) -> None:
    """Write into an existing folder."""
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    options = {"vocabulary_size": vocabulary_size, "options": config.model_dump()}
    (folder / "config.json").write_text(json.dumps(options, indent=1) + "\n", "utf-8")


def load(folder: Path) -> tuple[dict[str, Any], int, dict[str, Tensor]]:
    """Options, vocabulary size and tensors, as `save` wrote them."""
    saved = json.loads((folder / "config.json").read_text("utf-8"))
    return saved["options"], saved["vocabulary_size"], load_file(folder / "model.safetensors")
