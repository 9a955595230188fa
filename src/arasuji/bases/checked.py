"""What is refused in a pretrained model's files before anything opens them."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from arasuji.errors import BaseModelError
from arasuji.files import read_json

FILE_BYTES = 2**26
"""A JSON file of a pretrained model may have at most this many bytes; the largest vocabularies have half of it."""


def check(folder: Path, inside: Path) -> None:
    """Raise BaseModelError for a folder of a pretrained model that could run code, that names files elsewhere, or that
    holds no weights.

    `inside` is the folder that links may lead to (the hub's cache keeps its files behind links).
    """
    check_files(folder, inside)
    check_weights(folder, (path.name for path in folder.iterdir()))
    if not (folder / "config.json").is_file():
        raise BaseModelError(f"{folder} holds no config.json: it is not a pretrained model")


def check_files(folder: Path, inside: Path) -> None:
    """Raise BaseModelError where a file of a folder leads outside, or is JSON that names code or files elsewhere. The
    weights may still be missing."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            continue
        if not path.is_symlink() and not stat.S_ISREG(path.lstat().st_mode):
            raise BaseModelError(f"{path} is a pipe or a device and no file; refused")
        if not path.resolve().is_relative_to(inside.resolve()):
            raise BaseModelError(f"{path} leads outside its folder; refused")
        if path.name == "adapter_config.json":
            raise BaseModelError(f"{folder} holds an adapter for weights elsewhere; merge it into its base first")
        if path.suffix == ".json":
            _check_json(path)


def check_weights(place: object, names: Iterable[str]) -> None:
    """Raise BaseModelError where none of the files `names` holds weights that can be read without running code. `place`
    is the folder, or the name on the hub, for the message."""
    files = [Path(name) for name in names]
    if any(file.suffix == ".safetensors" for file in files):
        return
    pickles = [file.name for file in files if file.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]
    if pickles:
        raise BaseModelError(
            f"{place}: {pickles[0]} is a pickle, which can run code when opened; "
            "only safetensors weights are read: convert it first"
        )
    raise BaseModelError(f"{place} holds no weights (*.safetensors)")


def weights_of(folder: Path) -> set[str]:
    """The names of the files that a checked folder's weights are in, whether they are there or not."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return {"model.safetensors"}
    try:
        return {str(name) for name in read_json(index, FILE_BYTES, follow=True)["weight_map"].values()}
    except (KeyError, TypeError, AttributeError) as error:
        raise BaseModelError(f"{index} does not say which file holds which weights") from error


def _check_json(path: Path) -> None:
    try:
        content = read_json(path, FILE_BYTES, follow=True)
        pairs = list(_walk(content)) if path.name != "tokenizer.json" else []
    except (OSError, ValueError, RecursionError) as error:
        raise BaseModelError(f"{path} is not JSON: {error}") from error
    if path.name == "config.json" and not isinstance(content, dict):
        raise BaseModelError(f"{path} is not the configuration of a pretrained model")
    for key, value in pairs:
        chosen = key.endswith(("attn_implementation", "attn_implementation_internal", "experts_implementation"))
        if chosen and "/" in json.dumps(value):
            raise BaseModelError(f"{path} names code to fetch and run ({key}); refused")
        if key == "auto_map":
            raise BaseModelError(f"{path} names code to run (auto_map); refused")
        if key == "base_model_name_or_path":
            raise BaseModelError(f"{path} names weights outside its folder ({value}); merge the adapter first")
        if _names_file(path, key) and isinstance(value, str) and Path(value).name != value:
            raise BaseModelError(f"{path} names a file outside its folder ({value}); refused")


def _names_file(path: Path, key: str) -> bool:
    """Whether the value of this key is the name of a file that transformers would open. (It ignores the special tokens'
    map, where many models name a path of the machine they were made on.)"""
    if path.name.endswith(".index.json") or key == "transformers_weights":
        return True
    return key.endswith("_file") and key != "special_tokens_map_file"


def _walk(value: Any) -> Any:
    """Every (key, value) of nested JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)
