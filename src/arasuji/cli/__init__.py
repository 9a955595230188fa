"""The command line: one file a verb. Heavy imports happen inside the verbs, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys

import click
import typer

from arasuji.cli import demo, evaluate, generate, listing, prepare, train
from arasuji.errors import ArasujiError

app = typer.Typer(
    name="arasuji",
    help="Write new synopses from old ones: clean, train an LSTM, fine-tune a transformer, compare.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(prepare.prepare)
app.command()(train.train)
app.command()(generate.generate)
app.command()(evaluate.evaluate)
app.command()(listing.presets)
app.add_typer(listing.models, name="models")
app.command()(listing.runs)
app.command()(demo.demo)

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended."""


def main() -> None:
    """Run a verb; what the person can mend is one line on stderr and exit code 2."""
    # The libraries below announce and count things of their own; errors reach us as exceptions.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    try:
        code = app(standalone_mode=False)
    except (ArasujiError, click.ClickException) as error:
        message = error.format_message() if isinstance(error, click.ClickException) else str(error)
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
        code = 2
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
