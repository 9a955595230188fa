"""An experiment as a TOML file that `arasuji train` takes."""

from __future__ import annotations

import json
from typing import Any

from arasuji.config import Experiment


def as_toml(experiment: Experiment, comment: str) -> str:
    """The options of the experiment below a line of comment. Defaults are left out, as in the presets."""
    tables = experiment.model_dump(exclude_defaults=True)
    lines = [f"# {' '.join(comment.split())}"]
    lines += [f"{name} = {_toml(value)}" for name, value in tables.items() if not isinstance(value, dict)]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """A value in TOML, which writes all but tables as JSON does."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
