"""A file server on the loopback interface, with or without byte ranges."""

import contextlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs


class Handler(SimpleHTTPRequestHandler):
    ranges = True
    asked: list[str] = []
    broken = False

    def do_GET(self):
        kind = self.headers.get("Range")
        type(self).asked.append(f"{self.path} {kind}")
        if self.broken:
            self.send_error(503)
            return
        if kind is None or not self.ranges:
            super().do_GET()
            return
        try:
            with open(self.translate_path(self.path), "rb") as file:
                data = file.read()
        except OSError:
            self.send_error(404)
            return
        first, _, last = kind.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def end_headers(self):
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def log_message(self, *_):
        pass


class S3Handler(Handler):
    """The three requests of S3 that reading shards takes: an object's head, its bytes, a list."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if "list-type=2" not in query:
            super().do_GET()
            return
        prefix = parse_qs(query).get("prefix", [""])[0]
        folder = Path(self.translate_path(path))
        keys = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*.tar"))]
        listed = "".join(
            f"<Contents><Key>{key}</Key><Size>{(folder / key).stat().st_size}</Size></Contents>"
            for key in keys
            if key.startswith(prefix)
        )
        name = path.strip("/")
        text = f"<ListBucketResult><Name>{name}</Name><IsTruncated>false</IsTruncated>{listed}"
        data = f"{text}</ListBucketResult>".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def served(folder, ranges=True, base=Handler):
    """Yields the URL of a folder, and the class of its handler, which notes what was asked."""
    handler = type("Own", (base,), {"ranges": ranges, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", handler
        finally:
            server.shutdown()
            thread.join()
