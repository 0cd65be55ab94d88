"""Where a study is kept: a file that several processes may write, or a PostgreSQL server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.errors import ConfigError, RunError
from ganforge.paths import typed_path
from ganforge.search.optuna_extra import require

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

POSTGRESQL = ("postgresql://", "postgresql+psycopg://")
CALLS_MISSED = 3  # signs of life without which a worker counts as gone
TURN = 0x67616E66  # the key of PostgreSQL's advisory lock


class Storage:
    """A study's place, opened.

    Args:
        where: a file's path, or an address such as ``postgresql://user@host/database``.
        beat_seconds: seconds between a worker's signs of life; a server's alone.

    Raises:
        ConfigError: an address of another kind, or a driver that is not installed.
        RunError: nothing answers there, or the file can't be read.
    """

    def __init__(self, where: str, beat_seconds: float = 60.0) -> None:
        check_address(where)
        require()
        self.where = where
        self.server: RDBStorage | None = None
        self.file: Path | None = None
        self.beat_seconds = beat_seconds
        self._missed: dict[int, float] = {}
        self.optuna: BaseStorage = self._connect() if where.startswith(POSTGRESQL) else self._open()

    @property
    def shown(self) -> str:
        """The address without its password."""
        head, at, tail = self.where.rpartition("@")
        scheme, slashes, user = head.partition("://")
        return f"{scheme}{slashes}{user.partition(':')[0]}@{tail}" if at else self.where

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Holds the study while a trial is handed out: of all workers, one at a time."""
        if self.server is not None:
            from sqlalchemy import text

            # The server gives it back when the connection goes, however the process ends.
            with self.server.engine.begin() as connection:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": TURN})
                yield
            return
        from optuna.storages.journal import JournalFileOpenLock

        lock = JournalFileOpenLock(f"{self.file}.turn")
        lock.acquire()
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def beating(self, trial_id: int) -> Iterator[None]:
        """Tells the server every few seconds that a trial's worker lives."""
        if self.server is None:
            yield
            return
        finished = threading.Event()
        thread = threading.Thread(target=self._beat, args=(trial_id, finished), daemon=True)
        self.server.record_heartbeat(trial_id)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()

    def silent(self, study_id: int, running: list[int]) -> set[int]:
        """Returns the running trials whose workers have given no sign of life for too long.

        A worker that was killed before its first one is missed for as long from now on.

        Args:
            study_id: Optuna's number of the study.
            running: Optuna's numbers of its running trials.
        """
        if self.server is None:
            return set()
        from sqlalchemy import text

        with self.server.engine.connect() as connection:
            heard = connection.execute(text("SELECT trial_id FROM trial_heartbeats"))
            mute = {*running} - {int(row[0]) for row in heard}
        now = time.monotonic()
        self._missed = {trial: self._missed.get(trial, now) for trial in mute}
        patience = CALLS_MISSED * self.beat_seconds
        late = {trial for trial, since in self._missed.items() if now - since > patience}
        return late | {*self.server._get_stale_trial_ids(study_id)}

    def _beat(self, trial_id: int, finished: threading.Event) -> None:
        assert self.server is not None
        while not finished.wait(self.beat_seconds):
            # A server that is away for a moment is no reason to end a training.
            with contextlib.suppress(Exception):
                self.server.record_heartbeat(trial_id)

    def _connect(self) -> BaseStorage:
        from optuna.storages import RDBStorage

        require("psycopg", "postgresql", "tune.storage=postgresql://...")
        address = "postgresql+psycopg://" + self.where.partition("://")[2]
        beats = max(1, round(self.beat_seconds))
        try:
            self.server = RDBStorage(
                address,
                engine_kwargs={"pool_pre_ping": True},
                heartbeat_interval=beats,
                grace_period=CALLS_MISSED * beats,
            )
        except Exception as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise RunError(f"tune.storage={self.shown}: cannot be reached ({cause})") from error
        return self.server

    def _open(self) -> BaseStorage:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        self.file = typed_path(self.where).absolute()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            lock = JournalFileOpenLock(str(self.file))
            return JournalStorage(JournalFileBackend(str(self.file), lock_obj=lock))
        except (OSError, ValueError, KeyError) as error:
            raise RunError(f"tune.storage={self.file}: cannot be read ({error})") from error


def check_address(where: str) -> None:
    """Refuses an address that is neither a file nor PostgreSQL's.

    Raises:
        ConfigError: naming what is legal.
    """
    if "://" in where and not where.startswith(POSTGRESQL):
        scheme = where.partition("://")[0]
        raise ConfigError(
            f"tune.storage={scheme}://...: must be a file's path, or postgresql://user@host/database"
        )
