"""A PostgreSQL server of a test's own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

PLACES = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt")


def find_server() -> Path | None:
    """Returns the folder of initdb and postgres; None where there is no server."""
    found = [path for place in PLACES for path in Path(place).glob("*/bin/initdb")]
    known = shutil.which("initdb")
    paths = [Path(known)] if known else []
    both = [path.parent for path in [*sorted(found, reverse=True), *paths]]
    return next((path for path in both if (path / "postgres").is_file()), None)


def _other_user() -> dict[str, int]:
    """PostgreSQL refuses to be run by root."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


@contextlib.contextmanager
def postgresql(binaries: Path) -> Iterator[str]:
    """Starts a server on a free port of this machine alone; yields its address."""
    user = _other_user()
    # Where another user may go, which pytest's own folders are not.
    folder = Path(tempfile.mkdtemp(prefix="ganforge-postgresql-"))
    try:
        if user:
            os.chown(folder, user["user"], user["group"])
        data = folder / "data"
        made = [binaries / "initdb", "-D", data, "-A", "trust", "-U", "ganforge", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, cwd=folder, **user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ["-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"]
        with open(folder / "log", "wb") as output:
            server = subprocess.Popen(
                [binaries / "postgres", *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                **user,
            )
        try:
            _wait(server, port, folder / "log")
            yield f"postgresql://ganforge@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # at once: it would wait for clients after SIGTERM
            server.wait(60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: subprocess.Popen, port: int, output: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, output.read_text()
        with contextlib.suppress(psycopg.OperationalError):
            address = f"host=127.0.0.1 port={port} user=ganforge dbname=postgres"
            psycopg.connect(address, connect_timeout=2).close()
            return
        time.sleep(0.1)
    raise TimeoutError(output.read_text())
