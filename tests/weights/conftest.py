"""A small catalogue in place of the real one, and a web server that can misbehave."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from weights_helpers import Web

from anonbench import weights
from anonbench.weights import artefacts, download


def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            name, wanted = self.path.lstrip("/"), self.headers["Range"]
            web.requests.append((name, wanted))
            if name not in web.files:
                self.send_error(404)
                return
            content = web.files[name]
            tag = f'"{hashlib.sha256(content).hexdigest()}"'
            start = 0
            if wanted and web.ranges and self.headers["If-Range"] == tag:
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            stop = web.cut_after.pop(0) if web.cut_after else len(content)
            self.wfile.write(content[start : start + stop])
            web.hang_up.wait(20)

    return Handler


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A web server on loopback; downloads repeat without a pause."""
    monkeypatch.setattr(download, "PAUSE", 0)
    web = Web()
    web.hang_up.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(web))
    web.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield web
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def offer(
    anonbench_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Makes a TOML text the catalogue, with an empty cache."""

    def set_catalogue(text: str) -> None:
        file = tmp_path / "catalogue.toml"
        file.write_text(text, encoding="utf-8")
        entries = artefacts.read_catalogue(file)
        monkeypatch.setattr(artefacts, "catalogue", lambda: entries)
        monkeypatch.setattr(weights, "catalogue", lambda: entries)

    return set_catalogue
