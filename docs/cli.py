"""Writes cli.md beside this file: the --help of every verb, 80 columns wide on any terminal. Run by `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer

from arasuji.cli import app

INTRODUCTION = "Every verb and every option, as `--help` shows them. `make docs` writes this file."
WIDTH = 78
"""Columns that `--help` fills on a terminal of 80."""


def sections(context: typer.Context) -> Iterator[str]:
    """A verb's help, then that of the verbs below it."""
    yield f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n"
    for name, verb in getattr(context.command, "commands", {}).items():
        yield from sections(typer.Context(verb, parent=context, info_name=name, **verb.context_settings))


command = typer.main.get_command(app)
top = typer.Context(command, info_name="arasuji", terminal_width=WIDTH, **command.context_settings)
text = "\n".join(["# The command line", "", INTRODUCTION, "", *sections(top)])
Path(__file__).with_suffix(".md").write_text(text, "utf-8")
