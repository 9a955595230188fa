"""The page's files. They are read once, so that no path of a request ever reaches the disk."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files

from fastapi import APIRouter, Request, Response

TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}

router = APIRouter(include_in_schema=False)


@lru_cache(1)
def contents() -> dict[str, tuple[bytes, str, str]]:
    """The content of each file, its type, and a mark of its version."""
    found = {}
    for file in files("arasuji.studio").joinpath("page").iterdir():
        suffix = "." + file.name.rpartition(".")[2]
        if suffix in TYPES:
            content = file.read_bytes()
            found[file.name] = (
                content,
                f"{TYPES[suffix]}; charset=utf-8",
                f'"{hashlib.sha256(content).hexdigest()[:20]}"',
            )
    return found


@router.get("/")
async def index(request: Request) -> Response:
    return _answer("index.html", request)


@router.get("/docs")
async def reference(request: Request) -> Response:
    return _answer("api.html", request)


@router.get("/page/{name}")
async def page_file(name: str, request: Request) -> Response:
    return _answer(name, request)


def _answer(name: str, request: Request) -> Response:
    if name not in contents():
        return Response("no such file", 404, media_type="text/plain")
    content, kind, mark = contents()[name]
    headers = {"ETag": mark, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
