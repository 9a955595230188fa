"""`arasuji serve`: the studio, a local server."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from typer import Option

from arasuji.errors import OptionError
from arasuji.speech import say

LOCAL = {"127.0.0.1", "localhost", "::1"}


def serve(
    runs: Annotated[Path, Option(help="The folder of the runs")] = Path("runs"),
    corpora: Annotated[Path, Option(help="The folder of the corpora; those of the runs are known too")] = Path(
        "corpora"
    ),
    port: Annotated[int, Option(min=1, max=65535, help="The port")] = 8365,
    host: Annotated[
        str, Option(help="The address; another one than this machine's own needs --token, or ARASUJI_TOKEN")
    ] = "127.0.0.1",
    token: Annotated[bool, Option("--token", help="Make a token, which every request must have, and print it")] = False,
) -> None:
    """Open the studio: a page on this machine where models write side by side, and /v1 for OpenAI's clients."""
    secret = os.environ.get("ARASUJI_TOKEN") or (secrets.token_urlsafe(24) if token else "")
    if host not in LOCAL and not secret:
        raise OptionError(f"--host {host} lets other machines in: say --token too, which they then need")
    try:
        import uvicorn

        from arasuji.studio.app import app_of
        from arasuji.studio.connection import Connection
    except ImportError as error:
        raise OptionError("the studio needs FastAPI and uvicorn: pip install 'arasuji[serve]'") from error
    config = uvicorn.Config(
        app_of(runs, port, secret, corpora),
        log_level="warning",
        access_log=False,
        http=Connection,
        ws="none",
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    asked: list[int] = []

    def end(number: int, frame: Any) -> None:
        # uvicorn calls this when it has ended. Before it listens to signals, an exception could be raised where Python
        # or a library ignores it, and the server would run on.
        asked.append(number)
        server.should_exit = True

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the last one is of a terminal that is closed; Windows has none
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), end)
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise OptionError(f"{host}, port {port}: {error.strerror or error}; say another --port") from error
    shown = f"[{host}]" if ":" in host else host
    own = f"/#token={quote(secret)}" if secret and not os.environ.get("ARASUJI_TOKEN") else ""
    say(f"serving {runs} at http://{shown}:{port}{own} (OpenAI's clients: .../v1; Ctrl-C ends it)")
    if own:
        say(f"token      {secret}")
    server.run(sockets=[listening])
    if asked:
        raise SystemExit(128 + asked[0])
