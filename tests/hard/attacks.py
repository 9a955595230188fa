"""Requests that no browser of the page and no honest program sends, for test_requests.py."""

from __future__ import annotations

from typing import Any, NamedTuple

TINY = ["tokenizer.size=400", "hidden=24", "embedding=16"]
TRAINED = {"preset": "lstm-small", "corpus": "starter", "minutes": 1, "settings": TINY}
ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/api/desk", {"text": "A text."}),
    ("PATCH", "/api/desk/1", {"text": "Another text."}),
    ("DELETE", "/api/desk/2", {}),
    ("POST", "/api/desk/corpus", {"name": "mine"}),
    ("POST", "/api/estimate", TRAINED),
    ("POST", "/api/runs", {**TRAINED, "name": "new"}),
    ("POST", "/api/runs/gpt2-mini/stop", {}),
    ("POST", "/api/runs/lstm/resume", {}),
    ("POST", "/api/jobs/busy/stop", {}),
    ("POST", "/api/demo", {}),
    ("POST", "/api/reports", {"runs": ["lstm", "ngram"]}),
    ("POST", "/api/corpora/starter/inspect", {}),
    ("POST", "/api/arena/pairs", {"question": "read"}),
    ("POST", "/api/arena/votes", {"pair": "PAIR", "choice": "left"}),
    ("POST", "/v1/completions", {"model": "ngram", "max_tokens": 2}),
    ("POST", "/api/write", {"lanes": [{"run": "ngram", "sampling": {"max_length": 2, "min_length": 0}}]}),
    ("POST", "/api/enter", {"token": ""}),
]
"""All that changes something, with what it is sent by the page; PAIR is a pair that was drawn."""
READING = {"/api/inside/choice", "/api/inside/attention", "/api/inside/memory", "/api/inside/reset"}
"""These compute, and keep nothing."""


class Head(NamedTuple):
    """The first lines of a request; {here} is the server's own name, {port} its port."""

    method: str = ""
    """Another one than the route's."""
    host: tuple[str, ...] = ("{here}",)
    """No Host at all where it is empty, two where it has two."""
    kind: tuple[str, ...] = ("application/json",)
    more: tuple[str, ...] = ()
    target: str = "{path}"


HOSTS = [
    "", "evil.example", "evil.example:{port}", "127.0.0.1", "localhost", ":{port}", "127.0.0.1:1",
    "127.0.0.1:0{port}", "127.0.0.1:+{port}", "127.0.0.1:{port}/", "127.0.0.1:{port}#", "127.0.0.1 :{port}",
    "127.0.0.1:{port}, evil.example", "127.0.0.1:{port}.evil.example", "127.0.0.1.nip.io:{port}",
    "localhost.evil.example:{port}", "localhost.:{port}", "127.0.0.1.:{port}", "LOCALHOST:{port}.",
    "user@127.0.0.1:{port}", "user:word@localhost:{port}", "127.0.0.1:{port}@evil.example", "[::]:{port}",
    "[::ffff:127.0.0.1]:{port}", "[0:0:0:0:0:0:0:1]:{port}", "[::1%25lo]:{port}", "[::1]", "::1:{port}",
    "0.0.0.0:{port}", "0:{port}", "127.1:{port}", "127.0.0.2:{port}", "2130706433:{port}", "0x7f000001:{port}",
    "0177.0.0.1:{port}", "http://127.0.0.1:{port}", "*", "null", "%6cocalhost:{port}", "xn--lcalhost-7ya:{port}",
    "l\xf6calhost:{port}", "a.rebind.example:{port}",
]  # fmt: skip
ORIGINS = [
    "null", "", "http://evil.example", "http://evil.example:{port}", "http://127.0.0.1", "http://127.0.0.1:1",
    "http://localhost:{port}", "http://[::1]:{port}", "http://127.0.0.1:{port}.evil.example",
    "http://127.0.0.1:{port}@evil.example", "http://127.0.0.1:{port}/", "HTTP://127.0.0.1:{port}",
    "//127.0.0.1:{port}", "127.0.0.1:{port}", "file://", "ftp://127.0.0.1:{port}", "ws://127.0.0.1:{port}",
    "chrome-extension://x", "data:", "about:blank", "http://127.0.0.1:{port} http://evil.example",
    "http://127.0.0.1:{port}, http://evil.example",
]  # fmt: skip
KINDS = [
    "", "text/plain", "text/plain;application/json", "text/plain; charset=application/json", "text/json", "*/*",
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json, text/plain",
    "text/plain, application/json", "application/jsonx", "application/x-json", "application/ld+json", "json",
    "application/csp-report", "application/octet-stream", "application /json", "application/json/",
]  # fmt: skip
METHODS = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "PROPFIND", "QUERY"]
FOREIGN = "Origin: http://evil.example"
REFUSED: list[Head] = [
    *(Head(host=(host,)) for host in HOSTS),
    *(Head(host=(host,), more=("Origin: http://" + host,)) for host in HOSTS if host),
    *(
        Head(host=("evil.example",), more=(f"{name}: {{here}}",))
        for name in ("X-Forwarded-Host", "X-Host", "Forwarded")
    ),
    Head(host=()),
    Head(host=(), more=("Host : {here}",)),
    Head(host=("{here}", "evil.example")),
    Head(host=("evil.example", "{here}")),
    Head(host=("{here}", "{here}")),
    Head(target="http://evil.example{path}"),
    Head(target="http://evil.example{path}", host=("evil.example",)),
    Head(target="http://{here}{path}", host=("evil.example",)),
    *(Head(more=("Origin: " + origin,)) for origin in ORIGINS),
    Head(more=("Origin: http://{here}", FOREIGN)),
    Head(more=(FOREIGN, "Origin: http://{here}")),
    Head(more=(FOREIGN, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Referer: http://{here}/")),
    Head(more=("Origin: null", "Authorization: Bearer x")),
]
"""What every route refuses."""
NO_JSON: list[Head] = [
    *(Head(kind=(kind,)) for kind in KINDS),
    Head(kind=()),
    Head(kind=("application/json", "text/plain")),
    Head(kind=("text/plain", "application/json")),
]
"""What a route that takes a body refuses."""
OTHER: list[Head] = [
    *(Head(method, more=(origin,)) for method in METHODS for origin in ("Origin: null", FOREIGN)),
    *(Head(method, host=("evil.example",)) for method in METHODS),
    *(Head(method) for method in ("GET", "HEAD", "PUT", "OPTIONS", "TRACE", "CONNECT", "post", "X")),
    *(
        Head("GET", more=(f"{name}: {{method}}",))
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
    ),
    Head("GET", target="{path}?_method={method}"),
    Head(
        "OPTIONS",
        more=(FOREIGN, "Access-Control-Request-Method: {method}", "Access-Control-Request-Headers: content-type"),
    ),
]
"""With another method; some of these are answered, and change nothing."""
BROKEN = {
    "nothing": b"",
    "line ends": b"\r\n" * 100,
    "one letter": b"P",
    "NUL bytes": b"\0" * 1000,
    "TLS hello": bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 200,
    "SSLv2 hello": bytes.fromhex("802e0100020015000000100700c0"),
    "SSH": b"SSH-2.0-OpenSSH_9.9\r\n",
    "SMTP": b"EHLO evil.example\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0" * 10,
    "HTTP/0.9": b"GET /api/desk\r\n",
    "HTTP/0.9 that deletes": b"DELETE /api/desk/1\r\n\r\n",
    "HTTP/1.0 without Host": b"DELETE /api/desk/1 HTTP/1.0\r\n\r\n",
    "HTTP/1.2": b"DELETE /api/desk/1 HTTP/1.2\r\nHost: evil.example\r\n\r\n",
    "HTTP/3.0": b"DELETE /api/desk/1 HTTP/3.0\r\nHost: evil.example\r\n\r\n",
    "HTTP/11.1": b"DELETE /api/desk/1 HTTP/11.1\r\nHost: {here}\r\n\r\n",
    "http/1.1": b"DELETE /api/desk/1 http/1.1\r\nHost: {here}\r\n\r\n",
    "no method": b" /api/desk/1 HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "no target": b"DELETE HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "two blanks": b"DELETE  /api/desk/1  HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "tabs": b"DELETE\t/api/desk/1\tHTTP/1.1\r\nHost: {here}\r\n\r\n",
    "blank before a colon": b"DELETE /api/desk/1 HTTP/1.1\r\nHost : {here}\r\n\r\n",
    "folded header": b"DELETE /api/desk/1 HTTP/1.1\r\nHost: {here}\r\n evil.example\r\n\r\n",
    "header without a colon": b"DELETE /api/desk/1 HTTP/1.1\r\nHost {here}\r\n\r\n",
    "header without a name": b"DELETE /api/desk/1 HTTP/1.1\r\n: x\r\nHost: {here}\r\n\r\n",
    "NUL in a header": b"DELETE /api/desk/1 HTTP/1.1\r\nHost: {here}\0.evil.example\r\n\r\n",
    "NUL in a name": b"DELETE /api/desk/1 HTTP/1.1\r\nHo\0st: {here}\r\n\r\n",
    "NUL in a target": b"DELETE /api/desk/1\0 HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "CR in a header": b"DELETE /api/desk/1 HTTP/1.1\r\nHost: evil.example\rHost: {here}\r\n\r\n",
    "letters beyond ASCII in a target": b"DELETE /api/desk/\xe4\xff HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "a header of 64 kB": b"DELETE /api/desk/1 HTTP/1.1\r\nX: " + b"x" * 65536 + b"\r\nHost: {here}\r\n\r\n",
    "a header of 1 MB": b"DELETE /api/desk/1 HTTP/1.1\r\nX: " + b"x" * 2**20 + b"\r\nHost: {here}\r\n\r\n",
    "a cookie of 60 kB": b"DELETE /api/desk/1 HTTP/1.1\r\nHost: x\r\nCookie: " + b"a=b;" * 15000 + b"\r\n\r\n",
    "10,000 headers": b"DELETE /api/desk/1 HTTP/1.1\r\n" + b"Xxxxx: x\r\n" * 10_000 + b"Host: {here}\r\n\r\n",
    "5,000 headers": b"DELETE /api/desk/1 HTTP/1.1\r\n" + b"Xxxxx: x\r\n" * 5_000 + b"Host: evil.example\r\n\r\n",
    "an endless name": b"DELETE /api/desk/1 HTTP/1.1\r\n" + b"X" * 100_000,
    "a method of 60 kB": b"D" * 60_000 + b" /api/desk/1 HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "a path of 60 kB": b"DELETE /api/desk/" + b"1" * 60_000 + b" HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "a deep path": b"GET " + b"/a" * 30_000 + b" HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "a query of 60 kB": b"GET /api/desk?" + b"verdict=kept&" * 4_600 + b" HTTP/1.1\r\nHost: {here}\r\n\r\n",
    "a length that is no number": b"{post}Content-Length: 1x\r\n\r\n{text}",
    "a length below 0": b"{post}Content-Length: -1\r\n\r\n{text}",
    "a length with a sign": b"{post}Content-Length: +{size}\r\n\r\n{text}",
    "a length in hexadecimal": b"{post}Content-Length: 0x10\r\n\r\n{text}",
    "a length of 10,000 digits": b"{post}Content-Length: " + b"1" * 10_000 + b"\r\n\r\n{text}",
    "a length beyond all bounds": b"{post}Content-Length: 99999999999999999999\r\n\r\n{text}",
    "a length of 3 MB": b"{post}Content-Length: 3000000\r\n\r\n{text}",
    "two lengths": b"{post}Content-Length: {size}\r\nContent-Length: 1\r\n\r\n{text}",
    "two lengths in one": b"{post}Content-Length: {size}, 1\r\n\r\n{text}",
    "a length that is too short": b"{post}Content-Length: 5\r\n\r\n{text}",
    "a length that is too long": b"{post}Content-Length: 500\r\n\r\n{text}",
    "no length": b"{post}\r\n{text}",
    "a length and chunks": b"{post}Content-Length: {size}\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}",
    "chunks and a length": b"{post}Transfer-Encoding: chunked\r\nContent-Length: {size}\r\n\r\n{chunked}",
    "two encodings": b"{post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}",
    "an unknown encoding": b"{post}Transfer-Encoding: x, chunked\r\n\r\n{chunked}",
    "compressed and in chunks": b"{post}Transfer-Encoding: gzip, chunked\r\n\r\n{chunked}",
    "an encoding with a tab": b"{post}Transfer-Encoding: \x0bchunked\r\n\r\n{chunked}",
    "chunks of no number": b"{post}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{text}\r\n0\r\n\r\n",
    "a chunk below 0": b"{post}Transfer-Encoding: chunked\r\n\r\n-1\r\n{text}\r\n0\r\n\r\n",
    "a chunk of 16 EB": b"{post}Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{text}\r\n0\r\n\r\n",
    "a chunk that is too short": b"{post}Transfer-Encoding: chunked\r\n\r\n3\r\n{text}\r\n0\r\n\r\n",
    "a chunk that is too long": b"{post}Transfer-Encoding: chunked\r\n\r\nFFF\r\n{text}\r\n0\r\n\r\n",
    "chunks without an end": b"{post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "a long extension of a chunk": b"{post}Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 99_999 + b"\r\na\r\n0\r\n",
    "an upgrade to web sockets": b"GET / HTTP/1.1\r\nHost: {here}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "an upgrade to HTTP/2": b"{post}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n{text}",
    "a proxy": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n",
    "a proxy for this server": b"CONNECT {here} HTTP/1.1\r\nHost: {here}\r\n\r\nDELETE /api/desk/1 HTTP/1.1\r\n\r\n",
    "a form that holds a request": b"POST /api/desk HTTP/1.1\r\nHost: {here}\r\nOrigin: http://evil.example\r\n"
    b"Content-Type: text/plain\r\nContent-Length: {whole}\r\n\r\n{delete}",
    "a form with two line ends and a request": b"POST /api/desk HTTP/1.1\r\nHost: {here}\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 100000\r\n\r\n\r\n\r\n{delete}",
    "a request behind one that lies about chunks": b"POST /api/desk HTTP/1.1\r\nHost: {here}\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{delete}",
    "a request behind one that lies about its length": b"POST /api/desk HTTP/1.1\r\nHost: {here}\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
    b"1\r\nx\r\n0\r\n\r\n{delete}",
    "a request behind a refused one with two hosts": b"GET / HTTP/1.1\r\nHost: {here}\r\nHost: x\r\n\r\n{delete}",
    "100 foreign requests in a row": b"DELETE /api/desk/1 HTTP/1.1\r\nHost: evil.example\r\n\r\n" * 100,
}  # fmt: skip
"""Each is sent as it stands; {post} is the head of a request that would keep a text, {text} is its body."""
TARGETS = [
    "//api/desk/1", "/api//desk/1", "/api/desk/1/", "/api/desk//1", "/API/DESK/1", "/api/desk/1%00",
    "/api/desk/%001", "/api/desk/1%0d%0aX:1", "/api/desk/..%2f1", "/api/desk/x/../1", "/api/desk/%2e%2e/desk/1",
    "/api/desk/%2e/1", "/api/desk/1;x", "/api/desk/1%20", "/api/desk/%31%", "/api/desk/-1", "/api/desk/0",
    "/api/desk/1e0", "/api/desk/1.5", "/api/desk/%D9%A1", "/api/desk/99999999999999999999", "/api/desk/NaN",
    "/api/desk/*", "/api/desk/1,2", "/%2fapi/desk/1", "/api%2fdesk%2f1", "/api\\desk\\1", "/.//api/desk/1",
    "/api/desk/1%252f", "/%c0%ae%c0%ae/api/desk/1", "/api/desk/%ff", "*", "api/desk/1", "http://",
    "//evil.example/%2e%2e", "/page/..%2fapp.py", "/page/../app.py", "/page/%2e%2e/app.py", "/page/..%5capp.py",
    "/page//etc/passwd", "/page/app.js%00.html", "/page/", "/page", "/..", "/../../etc/passwd",
    "/api/reports/..%2fdesk", "/api/reports/%2e%2e%2fdesk.sqlite", "/api/corpora/..%2f..", "/api/corpora/%00/texts",
    "/api/runs/..%2fruns/metrics", "/api/runs/%2e%2e/metrics", "/api/runs/.jobs/metrics", "/v1/models/..",
    "/api/jobs/..%2fbusy/stop", "/api/jobs/%0a/stop", "/docs/", "/openapi.json/..",
]  # fmt: skip
SECRET = "a-Secret_word.32"
WRONG = [
    (), ("Authorization:",), ("Authorization: Bearer",), ("Authorization: Bearer ",), ("Authorization: {secret}",),
    ("Authorization: Basic {secret}",), ("Authorization: Bearer x{secret}",), ("Authorization: Bearer {secret}x",),
    ("Authorization: Bearer a",), ("Authorization: Bearer {lower}",), ("Authorization: Bearer {upper}",),
    ("Authorization: Bearer {secret} {secret}",), ("Authorization: Bearer\t{secret}",),
    ("Authorization: Bearer={secret}",), ("Authorization: Token {secret}",),
    ("Authorization: Digest token={secret}",), ("Proxy-Authorization: Bearer {secret}",), ("X-Api-Key: {secret}",),
    ("Authorization: Bearer \"{secret}\"",), ("Authorization: Bearer {secret},",), ("Authorization: Bearer null",),
    ("Authorization: Bearer *",), ("Authorization: Bearer %",), ("Authorization: Bearer \xe4\xff",),
    ("Authorization: Bearer " + "x" * 60_000,), ("Authorization: Bearer [\"{secret}\"]",),
    ("Authorization: Bearer x", "Authorization: Bearer {secret}"),
    ("Authorization: Bearer {secret}", "Authorization: Bearer x"), ("Cookie: arasuji-{port}=",),
    ("Cookie: arasuji-{port}=x",), ("Cookie: arasuji={secret}",), ("Cookie: arasuji-1={secret}",),
    ("Cookie: ARASUJI-{port}={secret}",), ("Cookie: arasuji-{port}={lower}",),
    ("Cookie: arasuji-{port}={secret}x",), ("Cookie: arasuji-{port}={secret}; arasuji-{port}=x",),
    ("Cookie: x", "Cookie: arasuji-{port}={secret}"),
    ("Cookie: arasuji-{port}={secret}", "Origin: http://evil.example"),
    ("Cookie: arasuji-{port}={secret}", "Origin: null"),
    ("Authorization: Bearer {secret}", "Origin: http://evil.example"), ("Cookie: token={secret}",),
    ("Referer: http://{here}/#token={secret}",),
]  # fmt: skip
