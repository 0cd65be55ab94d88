"""Failures of loggers and caches, which must not stop a run."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from attacks.bases import FAKE, FLAT, GAME, RUN, STEPS
from attacks.probe import Outcome, Probe

SCORED = [a for a in RUN if not a.startswith("metrics")] + ["metrics=[fid]", *FLAT]
WITH_SCORES = [
    "train",
    *FAKE,
    *GAME,
    *SCORED,
    *STEPS,
    "callbacks.evaluation.n=8",
]
WITH_WANDB = [
    "train",
    *FAKE,
    *GAME,
    *[a for a in RUN if not a.startswith("logger")],
    *STEPS,
    "logger=wandb",
]


@functools.cache
def _server(status: int) -> str:
    """Starts a local server that answers every request with ``status``; returns its address."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html>no</html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def _trained(folder: Path, outcome: Outcome) -> str | None:
    rows = list((folder / "logs" / "train").glob("2*/*/metrics.csv"))
    return None if len(rows) == 1 and "\n" in rows[0].read_text() else "no metrics.csv"


CACHES: dict[str, Callable[[Path], object]] = {
    "a file": lambda f: (f / "cache").write_text("x"),
    "a dangling link": lambda f: (f / "cache").symlink_to("/nonexistent/x"),
    "a link to itself": lambda f: (f / "cache").symlink_to("cache"),
    "of files that are folders": lambda f: (f / "cache" / "statistics").mkdir(parents=True),
}


def probes() -> Iterator[Probe]:
    """Yields the probes."""
    for name, make in CACHES.items():
        yield Probe("caches", f"GANFORGE_CACHE is {name}", WITH_SCORES, make, (0,),
                    check=_trained, environment={"GANFORGE_CACHE": "cache"})  # fmt: skip
    for place in ("/proc/x", "/dev/null/x", "/nonexistent/x" * 100):
        yield Probe("caches", f"GANFORGE_CACHE={place:.20}", WITH_SCORES, codes=(0,),
                    check=_trained, environment={"GANFORGE_CACHE": place})  # fmt: skip
    for home in ("/nonexistent", "/dev/null", ""):
        nowhere = {"HOME": home, "GANFORGE_CACHE": "", "XDG_CACHE_HOME": ""}
        yield Probe("caches", f"HOME={home}", WITH_SCORES, codes=(0,), check=_trained,
                    environment=nowhere)  # fmt: skip
    for status in (401, 403, 500):
        yield Probe(
            "W&B",
            f"a server that answers {status}",
            WITH_WANDB,
            codes=(0,),
            says="W&B",
            check=_trained,
            seconds=180,
            environment={
                "WANDB_MODE": "online",
                "WANDB_BASE_URL": _server(status),
                "WANDB_API_KEY": "0" * 40,
            },
        )
    for variable, value in (("WANDB_MODE", "sideways"), ("WANDB_BASE_URL", "no address")):
        yield Probe("W&B", f"{variable}={value}", WITH_WANDB, codes=(0, 2), seconds=120,
                    environment={"WANDB_MODE": "offline", variable: value})  # fmt: skip
    for typed in ("logger.wandb.project=a/b", f"tags=[{'t' * 70}]", "tags=['']"):
        yield Probe("W&B", typed, [*WITH_WANDB, typed], codes=(0, 2), seconds=120,
                    environment={"WANDB_MODE": "offline"})  # fmt: skip
