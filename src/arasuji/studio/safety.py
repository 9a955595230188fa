"""What keeps other pages and other people out of a local server: checked before any route sees a request."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arasuji.studio.leaving import SLOWEST

MOST_HEAD = 2**14
"""The headers of a request may have this many bytes, as with most servers."""
MOST_PATH = 2_000
"""An address may have this many bytes behind the host."""
MOST_BYTES = 2_000_000
"""A request's body may have this size."""
CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OPEN = ("/", "/docs", "/api/enter")
"""These, and the files of the page, are answered without the token, so that a browser can show it."""
ONCE = ("host", "origin", "content-type", "content-length", "authorization", "cookie")
"""Headers that are decided by: a request has one of each, since which of two holds is not agreed upon."""
LOCAL = ("127.0.0.1", "localhost", "[::1]")


class Safety:
    """Refuses requests of other sites, of who has no token where one is needed, and bodies that are no JSON, too large
    or do not come."""

    def __init__(self, app: ASGIApp, port: int, token: str = "") -> None:
        """Without a token only requests to this machine's own names are answered."""
        self.app, self.token = app, token
        self.cookie = f"arasuji-{port}"
        self.hosts = {f"{name}:{port}" for name in LOCAL}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the lifespan; there are no web sockets
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if refused := self._refused(scope, headers):
            await _refuse(send, *refused)
            return
        size, whole = 0, False

        async def received() -> Message:
            nonlocal size, whole
            # Once the body is whole, all that comes is that the client has left.
            async with asyncio.timeout(None if whole else SLOWEST):
                message = await receive()
            size, whole = size + len(message.get("body", b"")), not message.get("more_body", False)
            if size > MOST_BYTES:
                raise TooLargeError
            return message

        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                if size > MOST_BYTES:  # the route took the error for one of its own
                    raise TooLargeError
                started = True
                own = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    own.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, received, sent)
        except TooLargeError:
            if not started:
                await _refuse(send, 413, f"a request may have {MOST_BYTES:,} bytes")

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        path, method = scope["path"], scope["method"]
        if len(scope["raw_path"]) > MOST_PATH:
            return 414, f"an address may have {MOST_PATH:,} bytes behind the host"
        if b"%2f" in scope["raw_path"].lower():  # routes would take it for a slash, and a proxy before them might not
            return 404, "no address of this server has a slash that is written as %2F"
        if repeated := [name for name in ONCE if len(headers.getlist(name)) > 1]:
            return 400, f"the header {repeated[0].title()} is given twice: send it once"
        if "transfer-encoding" in headers and "content-length" in headers:
            return 400, "Content-Length and Transfer-Encoding are both given: send one of them"
        if sum(len(name) + len(value) for name, value in headers.raw) > MOST_HEAD:
            return 431, f"the headers of a request may have {MOST_HEAD:,} bytes"
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self.token and host not in self.hosts:  # a name of another site that leads here (DNS rebinding)
            return 403, f"this server answers to {', '.join(sorted(self.hosts))}, and not to {host!r}"
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return 403, f"a page of {origin!r} may not use this server"
        is_open = path in OPEN or path.startswith("/page/")
        if self.token and not is_open and not self._has_token(headers):
            return 401, "open the address that `arasuji serve` has printed; programs say Authorization: Bearer TOKEN"
        if int(headers.get("content-length") or 0) > MOST_BYTES:
            return 413, f"a request may have {MOST_BYTES:,} bytes"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if method in ("POST", "PUT", "PATCH") and kind != "application/json":
            return 415, "send JSON: Content-Type: application/json"
        return None

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self.token):
            return True
        return _same(cookie_parser(headers.get("cookie", "")).get(self.cookie, ""), self.token)


class TooLargeError(Exception):
    """A body has more bytes than it may have, whatever its header says."""


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


async def _refuse(send: Send, status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}})
    headers: Iterable[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        *((name.lower().encode(), value.encode()) for name, value in HEADERS.items()),
        *([(b"connection", b"close")] if status == 400 else []),  # what follows may be a part of this request
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
