"""A server on this machine that stands in for Weights & Biases, and answers as one should not."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RUN = {
    "id": "UnVu", "name": "abcd1234", "displayName": "n", "description": "", "config": "{}",
    "sweepName": None, "historyLineCount": 0,
    "project": {"id": "UHJv", "name": "ganforge", "entity": {"id": "RW50", "name": "me"}},
}  # fmt: skip
VIEWER = {"id": "VXNl", "entity": "me", "username": "me", "email": "", "flags": "{}",
          "teams": {"edges": []}}  # fmt: skip


class Stand(BaseHTTPRequestHandler):
    """Answers every request alike: by a status, a page, or what the server's mode says."""

    def answer(self) -> None:
        server: Server = self.server  # type: ignore[assignment]
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode(errors="replace")
        server.requests += 1
        if server.kind == "silent":
            time.sleep(30)
        elif server.kind == "no-http":
            self.wfile.write(b"220 mail.example.org ESMTP\r\n")
        elif server.kind == "html":
            self.send(200, b"<html>Log in to the guest network</html>", "text/html")
        elif server.kind == "accepts":
            self.send(200, accepted(body), "application/json")
        else:
            self.send(int(server.kind), b'{"errors":[{"message":"no"}]}', "application/json")
        self.close_connection = True

    do_GET = do_POST = do_HEAD = do_PUT = answer  # noqa: N815

    def send(self, status: int, body: bytes, kind: str) -> None:
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        return


class Server(ThreadingHTTPServer):
    daemon_threads = True
    kind = "500"
    requests = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


def accepted(body: str) -> bytes:
    """What a server says that takes everything, as far as wandb-core asks for it."""
    with contextlib.suppress(ValueError):
        query = json.loads(body).get("query", "")
        if "UpsertBucket" in query or "upsertBucket" in query:
            return json.dumps(
                {"data": {"upsertBucket": {"bucket": RUN, "inserted": True}}}
            ).encode()
        if "serverInfo" in query:
            return json.dumps({"data": {"viewer": VIEWER, "serverInfo": {"features": []}}}).encode()
        if "viewer" in query:
            return json.dumps({"data": {"viewer": VIEWER}}).encode()
    return b'{"data": {}}'


@contextlib.contextmanager
def serving(kind: str) -> Iterator[Server]:
    """Runs a server for the block; ``kind`` is a status, "html", "silent", "no-http", "accepts"."""
    server = Server(("127.0.0.1", 0), Stand)
    server.kind = kind
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
