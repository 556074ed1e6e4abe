"""A loopback server for screens without a hub: api/static, and pages that a test puts up."""

from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

from api.http.surfaces import STATIC
from api.http.templating import CONTENT_SECURITY_POLICY

API = Path(__file__).parents[2] / "api"


# Called with the query string; returns status, content type and body.
Answer = Callable[[str], tuple[int, str, str]]


class StaticSite:
    """Serve /static/ from api/static, and what a test puts up, with the hub's policy."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        handler = partial(_Handler, self.pages, directory=str(API))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The address without a last slash."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, html: str) -> str:
        """Put a page up; returns its address."""
        return self.answer(path, lambda _query: (200, "text/html; charset=utf-8", html))

    def answer(self, path: str, answer: Answer) -> str:
        """Let a function answer a path; returns its address."""
        self.pages[path] = answer
        return self.url + path

    def __enter__(self) -> "StaticSite":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, pages: dict[str, Answer], *arguments: Any, **options: Any) -> None:
        self.pages = pages
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if answer := self.pages.get(path):
            status, content_type, text = answer(query)
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif self.path.startswith("/static/"):
            super().do_GET()
        else:
            self.send_error(404)

    def translate_path(self, path: str) -> str:
        """Look a file up in every surface's folder, as the hub does."""
        name = path.partition("?")[0].removeprefix("/static/")
        return str(next((f / name for f in STATIC if (f / name).is_file()), STATIC[0] / name))

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        super().end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing: the test's output is the report."""
