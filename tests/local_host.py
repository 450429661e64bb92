"""A server on this machine that answers as the Hugging Face hub and a host of plain files do, with faults on demand."""

import hashlib
import json
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from cospeech.download import transfer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_PAGE = 3  # entries of a listing at a time


class LocalHost:
    def __init__(self, url: str):
        self.url = url
        self.plain: dict[str, bytes] = {}  # path from the root -> content
        self.hub: dict[
            str, dict[str, bytes]
        ] = {}  # such as models/someone/tiny or datasets/someone/data -> path -> content
        self.pointers = True  # whether the hub keeps files apart (LFS), and so knows their SHA-256
        self.faults: dict[str, list[object]] = defaultdict(list)  # end of the path -> what befalls the next requests
        self.ranges = True
        self.etags = True
        self.asked: list[tuple[str, dict[str, str]]] = []  # path, headers

    def paths_asked(self) -> list[str]:
        return [path for path, _ in self.asked]

    def bytes_asked(self, end: str) -> list[str | None]:
        """The Range of every request for a file."""
        return [headers.get("Range") for path, headers in self.asked if path.endswith(end)]

    def fault(self, path: str) -> object:
        for end, faults in self.faults.items():
            if path.endswith(end) and faults:
                return faults.pop(0)
        return None

    def content(self, path: str) -> bytes | None:
        """Of a file, plain or `{repository}/resolve/{revision}/{file}`."""
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            kind, repository, _, name = found.groups()
            return self.hub.get(f"{'datasets' if kind else 'models'}/{repository}", {}).get(name)
        return self.plain.get(path)

    def api(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[object, str | None] | None:
        """What the hub's interface answers, and where it goes on."""
        found = re.fullmatch(r"/api/((?:models|datasets)/[^/]+/[^/]+)/(revision|paths-info|tree)/[^/]+(?:/(.*))?", path)
        if not found or found[1] not in self.hub:
            return None
        files, what, folder = self.hub[found[1]], found[2], found[3]
        if what == "revision":
            return {"id": found[1].partition("/")[2], "sha": COMMIT, "siblings": [], "tags": []}, None
        if what == "paths-info":
            return [self.entry(name, files[name]) for name in parse_qs(body.decode())["paths"] if name in files], None
        entries = [self.entry(name, files[name]) for name in sorted(files) if name.startswith(f"{folder}/")]
        if not entries:
            return None
        first = int(query.get("cursor", ["0"])[0])
        more = f"{self.url}{path}?cursor={first + _PAGE}" if first + _PAGE < len(entries) else None
        return entries[first : first + _PAGE], more

    def entry(self, name: str, content: bytes) -> dict:
        entry = {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
        if self.pointers:
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return entry


@contextmanager
def serve() -> Iterator[LocalHost]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = unquote(urlsplit(self.path).path)
            host.asked.append((path, dict(self.headers)))
            fault = host.fault(path)
            if isinstance(fault, int):
                self.send(fault, b"", {"Retry-After": "0"})
            elif isinstance(fault, str) and fault.startswith("to "):
                self.send(302, b"", {"Location": fault.removeprefix("to ").format(url=host.url)})
            elif path.startswith("/api/"):
                self.answer_api(path)
            elif (content := host.content(path)) is None:
                self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
            else:
                self.send_file(content, fault)

        do_POST = do_GET

        def answer_api(self, path):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = host.api(path, parse_qs(urlsplit(self.path).query), body)
            if answer is None:
                self.send(404, b"", {"X-Error-Code": "EntryNotFound" if "/tree/" in path else "RepoNotFound"})
            else:
                more = {"Link": f'<{answer[1]}>; rel="next"'} if answer[1] else {}
                self.send(200, json.dumps(answer[0]).encode(), {"Content-Type": "application/json", **more})

        def send_file(self, content, fault):
            etag = f'"{hashlib.md5(content).hexdigest()}"'
            headers = {"ETag": etag} if host.etags else {}
            first, status = 0, 200
            asked = self.headers.get("Range")
            if host.ranges and asked and self.headers.get("If-Range", etag) == etag:
                first, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
                if first >= len(content):
                    return self.send(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            body = content[first:]
            if fault == "cut":
                self.send(status, body[: len(body) // 2], {**headers, "Content-Length": str(len(body))})
                self.close_connection = True
            elif fault == "slow":
                self.send(status, body[: len(body) // 2], {**headers, "Content-Length": str(len(body))})
                self.wfile.flush()
                time.sleep(20)
                self.close_connection = True
            elif fault == "longer":
                self.send(status, body, {**headers, "Content-Length": str(len(body) + 100)})
                self.close_connection = True
            elif fault == "shorter":
                self.send(status, body[:-100], headers)
            elif fault == "endless":
                self.send(status, body * 3, {**headers, "Connection": "close", "Content-Length": None})
                self.close_connection = True
            else:
                self.send(status, body, headers)

        def send(self, status, body, headers):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        block_on_close = False

        def handle_error(self, request, client_address):
            if not isinstance(sys.exception(), ConnectionError):  # that is a client that hangs up
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    host = LocalHost(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def host(monkeypatch):
    """A host on this machine; nobody waits between attempts."""
    monkeypatch.setattr(transfer, "_PAUSES_S", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as local:
        yield local
