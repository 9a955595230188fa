"""How model families, tokenizers and cleaning rules are found: in this package, and in others that are installed.

Another package names its modules in its `pyproject.toml`, under an entry point group; `docs/extending.md` shows how.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from arasuji.errors import ArasujiError, OptionError, nearest

FAMILIES, TOKENIZERS, RULES = "arasuji.families", "arasuji.tokenizers", "arasuji.rules"
"""The entry point groups."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Modules of one kind, each found by its name: every file of a folder without a leading underscore, and every
    entry point of a group."""

    kind: str
    """What such a module is, in the words of an error: "model family"."""
    folder: str
    """The package whose modules these are, such as "arasuji.models"."""
    group: str
    """The entry point group by which other packages add to them."""
    exports: tuple[str, ...]
    """What every such module has to define."""

    def names(self) -> list[str]:
        """The names there are. Raises OptionError where two packages claim the same one."""
        return sorted([*self._own(), *self._others()])

    def module(self, name: str) -> Any:
        """The module of that name. Raises OptionError where there is none, or where it cannot be loaded."""
        others = self._others()
        if name not in others:
            if name not in self._own():
                raise OptionError(f"unknown {self.kind} {name!r}; {nearest(name, self.names())}")
            return importlib.import_module(f"{self.folder}.{name}")
        module = load(others[name])
        if missing := [export for export in self.exports if not hasattr(module, export)]:
            raise OptionError(
                f"the package {package_of(others[name])!r} has a {self.kind} {name!r} without {', '.join(missing)}; "
                "update or uninstall the package"
            )
        return module

    def _own(self) -> list[str]:
        found = pkgutil.iter_modules(importlib.import_module(self.folder).__path__)
        return [module.name for module in found if not module.ispkg and not module.name.startswith("_")]

    def _others(self) -> dict[str, EntryPoint]:
        owners = dict.fromkeys(self._own(), "arasuji")
        found = {}
        for point in entry_points(group=self.group):
            package = package_of(point)
            if point.name in owners:
                raise OptionError(
                    f"the package {package!r} has a {self.kind} {point.name!r}, and so has {owners[point.name]!r}; "
                    f"uninstall {package!r}"
                )
            owners[point.name], found[point.name] = package, point
        return found


def package_of(point: EntryPoint) -> str:
    """The name under which the package of an entry point is installed."""
    return point.dist.name if point.dist else point.module


def load(point: EntryPoint) -> Any:
    """What an entry point names. Raises OptionError, with the name of its package, where that cannot be imported."""
    try:
        return point.load()
    except ArasujiError as error:
        raise OptionError(f"the package {package_of(point)!r}: {error}") from error
    except Exception as error:  # importing runs anyone's code
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise OptionError(
            f"the package {package_of(point)!r} cannot be loaded: {point.value!r}, its entry point in {point.group}, "
            f"fails with {reason}; update or uninstall the package"
        ) from error


def sources() -> Iterator[Path]:
    """The Python files of all packages that add something to this one."""
    points = (point for group in (FAMILIES, TOKENIZERS, RULES) for point in entry_points(group=group))
    for name in sorted({point.module.partition(".")[0] for point in points}):
        spec = find_spec(name)
        folders = list(spec.submodule_search_locations or []) if spec else []
        yield from (path for folder in folders for path in sorted(Path(folder).rglob("*.py")))
        if spec and spec.origin and not folders:
            yield Path(spec.origin)
