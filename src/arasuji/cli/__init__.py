"""The command line: one file a verb. Heavy imports happen inside the verbs, so that `--help` answers at once."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import typer

from arasuji import arguments, processes
from arasuji.cli import (
    average,
    compare,
    demo,
    evaluate,
    export,
    generate,
    import_,
    inspect,
    launch,
    listing,
    prepare,
    serve,
    sweep,
    title,
    train,
    tune,
)
from arasuji.cli.fault import FAULT, described
from arasuji.cli.shown import show_streams
from arasuji.errors import ArasujiError, out_of_memory
from arasuji.speech import raw, say, shown, silence, tell

app = typer.Typer(
    name="arasuji",
    help="Write new synopses from old ones: clean, train an LSTM, fine-tune a transformer, compare.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _verb(function: Callable[..., None]) -> None:
    """Add a verb. In the paths that it is given, ~ is the home folder: shells do not expand it in `--out=~/x`."""

    def expanded(value: Any) -> Any:
        if isinstance(value, list):
            return [expanded(item) for item in value]
        return arguments.path(value) if isinstance(value, Path) else value

    @wraps(function)
    def called(**options: Any) -> None:
        function(**{name: expanded(value) for name, value in options.items()})

    app.command(function.__name__.rstrip("_"))(called)  # `import` is a word of Python's own


for verb in (
    prepare.prepare,
    inspect.inspect,
    train.train,
    launch.launch,
    average.average,
    tune.tune,
    sweep.sweep,
    generate.generate,
    title.title,
    evaluate.evaluate,
    compare.compare,
    export.export,
    import_.import_,
    serve.serve,
    listing.presets,
    listing.rules,
    listing.runs,
    demo.demo,
):
    _verb(verb)
app.add_typer(listing.models, name="models")

LONGEST = 1000
"""An error has at most about so many characters."""
INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended; typer makes it of a KeyboardInterrupt."""


def main() -> None:
    """Run a verb; an error that the user can correct is one line on stderr and exit code 2, a fault of arasuji one line
    and exit code 70."""
    # The libraries would print messages and progress of their own; their errors are exceptions.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.filterwarnings("ignore", category=FutureWarning)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # texts are UTF-8 wherever they are piped
        if isinstance(stream, io.TextIOWrapper):
            # Names of files and columns may hold bytes that are no text.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    show_streams()
    if os.environ.get("_ARASUJI_COMPLETE"):  # the shell would print stderr into the line that is being typed
        sys.stderr = io.StringIO()
    try:
        processes.check()
        # Completion depends on this name, and `python -m arasuji` would have another.
        with _tidy_up_on_signals():
            code = app(sys.argv[1:] or ["--help"], prog_name="arasuji", standalone_mode=False)
        sys.stdout.flush()
    except (ArasujiError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        code = _complain(message)
    except BrokenPipeError:  # the reader has closed the pipe, as `| head` does
        code = 0
    except SystemExit as ended:  # by a signal; or by typer and rich, which end with 1 where the reader has gone
        code = 0 if ended.code == 1 else ended.code
    except KeyboardInterrupt:  # outside of a verb
        code = INTERRUPTED
    except BaseException as error:  # a panic of a library in Rust is no Exception
        if out_of_memory(error):
            whose = "the accelerator's memory" if type(error).__name__ == "OutOfMemoryError" else "memory"
            code = _complain(f"{whose} is full: in training, lower --set batch_size, and raise accumulate in turn")
        elif isinstance(error, RuntimeError) and "can't start new thread" in str(error):
            code = _complain("the system refuses another thread: close other programs, or raise its limit (ulimit -u)")
        elif isinstance(error, OSError):  # no verb expects this: a name that is too long, a folder not to be read
            code = _complain(f"{error.filename or 'the system refuses'}: {error.strerror or error}")
        else:
            code = _complain(described(error), FAULT)
    if code == INTERRUPTED:
        say("interrupted")
    try:
        sys.stdout.flush()
    except OSError:  # Python would flush again when it ends, and print an error
        silence(sys.stdout.fileno())
    if not code and (lost := getattr(raw(sys.stdout), "lost", None)):
        code = _complain(f"what was printed is lost: {lost.strerror}")
    sys.exit(code)


def _open_closed_streams() -> None:
    """Open the null device in place of each standard stream that is closed (`>&-`). Else the next file that is opened
    would get the stream's number, and what is printed would be written into it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


@contextmanager
def _tidy_up_on_signals() -> Iterator[None]:
    """Let the signals that ask a program to end do so as Ctrl-C does: what is unfinished is deleted, and processes that
    were started are ended. A signal that is ignored (`nohup`) stays so."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP
    ours = [number for number in kinds if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _complain(message: str, code: int = 2) -> int:
    which = "" if processes.is_main() else f"process {processes.index()}: "
    line = " ".join(message.split())
    if len(line) > LONGEST:  # it repeats an argument
        line = f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"
    tell(shown(f"{which}error: {line}") + "\n")
    return code
