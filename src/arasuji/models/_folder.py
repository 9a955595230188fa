"""How the families of our own are saved: weights as safetensors, options as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save_file
from torch import Tensor

from arasuji.files import read_json
from arasuji.models._checked import LARGEST, read_tensors


class Saved(BaseModel):
    """What `config.json` holds."""

    model_config = ConfigDict(extra="forbid")

    vocabulary_size: int = Field(ge=1, le=LARGEST)
    options: dict[str, Any]


def save(folder: Path, config: BaseModel, vocabulary_size: int, tensors: dict[str, Tensor]) -> None:
    """Write into an existing folder."""
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    options = {"vocabulary_size": vocabulary_size, "options": config.model_dump()}
    (folder / "config.json").write_text(json.dumps(options, indent=1) + "\n", "utf-8")


def load(folder: Path) -> tuple[dict[str, Any], int, dict[str, Tensor]]:
    """Options, vocabulary size and tensors, as `save` wrote them; what they hold is the family's to check."""
    saved = Saved.model_validate(read_json(folder / "config.json"))
    return saved.options, saved.vocabulary_size, read_tensors(folder / "model.safetensors")
