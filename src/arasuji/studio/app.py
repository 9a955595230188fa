"""The server's application: its routes, and what they share."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException

import arasuji
from arasuji.errors import StorageError
from arasuji.studio import completions, entry, jobs, pages
from arasuji.studio.corpora import Corpora
from arasuji.studio.rooms import arena, data, desk, inside, reports, train, write
from arasuji.studio.safety import Safety
from arasuji.studio.shelf import Shelf
from arasuji.studio.writers import Writers

MOST_TEXTS = 32
"""The number of texts that are written at once; who asks for more is told to try again."""


def app_of(runs: Path, port: int, token: str = "", corpora: Path = Path("corpora")) -> FastAPI:
    """The application that serves the runs of a folder, and knows the corpora of another one."""
    shelf, writers = Shelf(runs, MOST_TEXTS), Writers(MOST_TEXTS)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        gc.freeze()  # what was imported is not searched for garbage again and again while tokens are handed out
        async with writers:
            yield

    app = FastAPI(
        title="arasuji", version=arasuji.__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json",
    )  # fmt: skip
    app.state.shelf, app.state.writers, app.state.desk = shelf, writers, desk.Desk(runs / "desk.sqlite")
    app.state.arena = arena.Arena(shelf)
    app.state.token, app.state.port = token, port
    app.state.corpora, app.state.jobs = Corpora(corpora, runs), jobs.Jobs(runs)
    for part in (entry, completions, write, inside, arena, data, train, reports, desk, jobs, pages):
        app.include_router(part.router)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StorageError, _not_stored)
    app.add_middleware(Safety, port=port, token=token)
    return app


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)
    detail: Any = error.detail
    if not isinstance(detail, dict):  # of a route of the page
        detail = {"message": str(detail), "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": detail}, error.status_code, getattr(error, "headers", None))


async def _not_stored(request: Request, error: Exception) -> JSONResponse:
    detail = {"message": str(error), "type": "server_error", "param": None, "code": "storage"}
    return JSONResponse({"error": detail}, 503)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body")
    detail = {"message": f"{where}: {first['msg']}", "type": "invalid_request_error", "param": where, "code": "invalid"}
    return JSONResponse({"error": detail}, 400)
