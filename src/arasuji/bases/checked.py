"""What is refused in a pretrained model's files before anything opens them."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from arasuji.errors import BaseModelError
from arasuji.files import read_json

FILE_BYTES = 2**26
"""A JSON file of a pretrained model may have at most this many bytes; the largest vocabularies have half of it."""
TEMPLATES = "additional_chat_templates"
"""The only folder in that of a model whose files transformers reads."""
CODE = ("attn_implementation", "attn_implementation_internal", "experts_implementation")
"""What computes attention and experts. A name that transformers has not written out is fetched and run."""
WRITTEN_OUT = (None, "eager", "sdpa", "batched_mm", "grouped_mm")
OTHERS = ("backbone", "configuration_files")
"""A configuration names other models with these, which are fetched, and other configurations, which are not checked."""
TOKENIZER = {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
"""transformers hands all that stands in these files to the class of a tokenizer."""
PARTS = {"fast_tokenizer_files", "gguf_file", "init_inputs", "merges", "post_processor", "tokenizer_object", "vocab"}
"""With these it would make a tokenizer of something else than the tokenizer.json that is checked."""
MOST_ADDED = 2**14
"""A tokenizer may have at most this many tokens beside its vocabulary, which take long to add; Gemma 3 has 6,415."""
LARGEST = 2**24
"""The largest whole number of a configuration: more than any vocabulary or context."""
THETA = 10**12
"""The largest whole number for the base of rotations, which is no size."""
MOST_COUNTED = 2**20
"""The most of what it counts: layers, heads, experts, labels."""
COUNTS = ("num_", "n_")


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
    for path in chain(folder.iterdir(), (folder / TEMPLATES).glob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        if not path.is_symlink() and not stat.S_ISREG(path.lstat().st_mode):
            raise BaseModelError(f"{path} is a pipe or a device and no file; refused")
        if not path.resolve().is_relative_to(inside.resolve()):
            raise BaseModelError(f"{path} leads outside its folder; refused")
        name = path.name.casefold()  # many disks find CONFIG.JSON where config.json is asked for
        if name == "adapter_config.json":
            raise BaseModelError(f"{folder} holds an adapter for weights elsewhere; merge it into its base first")
        if name.endswith(".json"):
            _check_json(path, name)


def check_architecture(folder: Path) -> None:
    """Raise BaseModelError unless all parts of the model in a checked folder are made to continue texts. The
    configurations of other models may fetch what they name as soon as they are read."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    file = folder / "config.json"
    for key, value in _walk([read_json(file, FILE_BYTES, follow=True)] if file.is_file() else []):
        if key == "model_type" and str(value) not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
            raise BaseModelError(
                f"{folder}: the architecture {value!s:.60} is not served; models that read text alone are"
            )


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


def _check_json(path: Path, name: str) -> None:
    """`name` is that of the file in small letters."""
    try:
        content = read_json(path, FILE_BYTES, follow=True)
        pairs = list(_walk([content])) if name != "tokenizer.json" else []
    except (OSError, ValueError, RecursionError) as error:
        raise BaseModelError(f"{path} is not JSON: {error}") from error
    if name == "config.json":
        _check_configuration(path, content, pairs)
    if name in TOKENIZER:
        _check_tokenizer(path, content)
    for key, value in pairs:
        chosen = value.values() if isinstance(value, dict) else [value]  # each part of a model may have its own
        if key.endswith(CODE) and not all(way in WRITTEN_OUT for way in chosen):
            raise BaseModelError(f"{path} names code to fetch and run ({key}); refused")
        if key == "auto_map":
            raise BaseModelError(f"{path} names code to run (auto_map); refused")
        if key == "base_model_name_or_path":
            raise BaseModelError(f"{path} names weights outside its folder ({value}); merge the adapter first")
        if _names_file(name, key) and isinstance(value, str) and Path(value).name != value:
            raise BaseModelError(f"{path} names a file outside its folder ({value}); refused")


def _check_configuration(path: Path, content: Any, pairs: Iterable[tuple[str, Any]]) -> None:
    if not isinstance(content, dict):
        raise BaseModelError(f"{path} is not the configuration of a pretrained model")
    if content.get("quantization_config"):
        raise BaseModelError(
            f"{path} is of quantized weights, which code of other packages reads; take the model in whole weights"
        )
    for key, value in pairs:
        if key in OTHERS and value:
            raise BaseModelError(f"{path} names what lies elsewhere ({key}); refused")
        if isinstance(value, int):
            largest = THETA if key.endswith("theta") else LARGEST
            fits = abs(value) <= (MOST_COUNTED if key.startswith(COUNTS) else largest)
        else:
            fits = not isinstance(value, float) or math.isfinite(value)
        if not fits:
            raise BaseModelError(f"{path}: {key} = {value!s:.20} is out of all bounds; refused")


def _check_tokenizer(path: Path, content: Any) -> None:
    if not isinstance(content, dict):
        raise BaseModelError(f"{path} is not about a tokenizer")
    if named := sorted(name for name in PARTS & content.keys() if content[name]):
        raise BaseModelError(f"{path} makes a tokenizer of something else than tokenizer.json ({named[0]}); refused")
    most = max(len(part) for part in [content, *content.values()] if isinstance(part, dict | list))
    if most > MOST_ADDED:
        raise BaseModelError(f"{path} adds {most:,} tokens to a vocabulary, and {MOST_ADDED:,} are read at most")


def _names_file(name: str, key: str) -> bool:
    """Whether the value of this key, in the JSON file `name`, is the name of a file that transformers would open. (It
    ignores the special tokens' map, where many models name a path of the machine they were made on.)"""
    if name.endswith(".index.json") or key == "transformers_weights":
        return True
    return key.endswith("_file") and key != "special_tokens_map_file"


def _walk(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested JSON, with the name it is below."""
    inside = value.items() if isinstance(value, dict) else ((key, inner) for inner in value)
    for name, inner in inside:
        yield name, inner
        if isinstance(inner, dict | list):
            yield from _walk(inner, name)
