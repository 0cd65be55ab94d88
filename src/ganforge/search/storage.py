"""Storage of a study: a journal file that several processes may write, or PostgreSQL."""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.errors import ConfigError, RunError, install
from ganforge.paths import typed_path

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

POSTGRESQL = ("postgresql://", "postgresql+psycopg://")
CALLS_MISSED = 3  # missed heartbeats after which a worker counts as dead
TURN = 0x67616E66  # the key of PostgreSQL's advisory lock


class Storage:
    """The opened storage of a study.

    Args:
        where: path of a file, or an address such as ``postgresql://user@host/database``.
        beat_seconds: seconds between a worker's heartbeats; used with a server only.

    Raises:
        ConfigError: if the address is of another kind, or the driver is not installed.
        RunError: if the server cannot be reached, or the file cannot be read.
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
    def address(self) -> str:
        """The address without its password."""
        head, at, tail = self.where.rpartition("@")
        scheme, slashes, user = head.partition("://")
        return f"{scheme}{slashes}{user.partition(':')[0]}@{tail}" if at else self.where

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Locks the study while a trial is assigned; one worker at a time holds the lock."""
        if self.server is not None:
            from sqlalchemy import text

            # A transaction-level lock: the server releases it even if this process is killed.
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
        """Records a heartbeat of a trial's worker on the server every ``beat_seconds``."""
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
        """Returns the running trials whose workers have missed too many heartbeats.

        A trial without any heartbeat gets the same grace period, counted from the first call that
        finds it: its worker may have been killed before its first heartbeat.

        Args:
            study_id: Optuna's ID of the study.
            running: Optuna's IDs of its running trials.
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
            # A temporary server outage must not end the training.
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
            raise RunError(f"tune.storage={self.address}: cannot be reached ({cause})") from error
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
    """Checks that an address is a file path or a PostgreSQL URL.

    Raises:
        ConfigError: listing the supported forms.
    """
    if "://" in where and not where.startswith(POSTGRESQL):
        scheme = where.partition("://")[0]
        raise ConfigError(
            f"tune.storage={scheme}://...: must be a file's path, or postgresql://user@host/database"
        )


def require(package: str = "optuna", extra: str = "tune", reason: str = "a search") -> None:
    """Checks that a package is installed, and silences Optuna's own log output.

    Raises:
        ConfigError: if the package is not installed; names the extra to install.
    """
    try:
        importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{reason} needs {package}, which is not installed: {install(extra)}"
        ) from error
    if package != "optuna":
        return
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    # Storage.beating() records heartbeats; Optuna expects them from its own optimize() loop.
    warnings.filterwarnings("ignore", message="Heartbeat of storage is supposed to be used with")
