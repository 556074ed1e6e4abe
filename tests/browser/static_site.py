"""A loopback server for screens without a hub: api/static, and pages that a test puts up."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

from api.templating import CONTENT_SECURITY_POLICY

API = Path(__file__).parents[2] / "api"


class StaticSite:
    """Serve /static/ from api/static, and `pages` (path → HTML), with the hub's policy."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        handler = partial(_Handler, self.pages, directory=str(API))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The address without a last slash."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, html: str) -> str:
        """Put a page up; returns its address."""
        self.pages[path] = html
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

    def __init__(self, pages: dict[str, str], *arguments: Any, **options: Any) -> None:
        self.pages = pages
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
        page = self.pages.get(self.path.partition("?")[0])
        if page is not None:
            body = page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif self.path.startswith("/static/"):
            super().do_GET()
        else:
            self.send_error(404)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        super().end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing: the test's output is the report."""
