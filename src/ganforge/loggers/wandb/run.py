"""Starts runs in Weights & Biases: online if possible, offline otherwise."""

from __future__ import annotations

import logging
import os
import secrets
import string
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganforge import atomic
from ganforge.config.wandb_names import is_id, trimmed
from ganforge.errors import RunError
from ganforge.loggers.wandb import access as wandb_access
from ganforge.loggers.wandb import service as wandb_service
from ganforge.loggers.wandb.access import first_line
from ganforge.redaction import redacted
from ganforge.regular_files import read_regular
from ganforge.terminal import as_typed

Mode = Literal["auto", "online", "offline"]
OnUnreachable = Literal["offline", "fail"]

FINISH_SECONDS = 60.0
INIT_MARGIN = 15.0  # seconds on top of wandb's own timeout for the server
ID_CHARACTERS = string.ascii_lowercase + string.digits

log = logging.getLogger(__name__)


@dataclass
class WandbRun:
    """Settings for starting a W&B run.

    Attributes:
        folder: the run folder.
        mode: "online", "offline", or "auto" for online if there are credentials.
        on_unreachable: "offline" or "fail".
        timeout: seconds to wait for the server.
        commit: commit of the code; None if unknown.
        remote: URL of its repository.
    """

    folder: Path
    mode: Mode
    on_unreachable: OnUnreachable
    timeout: float
    commit: str | None = None
    remote: str | None = None

    def start(self, arguments: dict[str, Any]) -> Any:
        """Returns a new ``wandb.Run`` with its axes defined.

        Args:
            arguments: arguments of ``wandb.init`` except id, mode and settings.

        Raises:
            RunError: if the run cannot go online and ``on_unreachable`` is "fail".
            Exception: if wandb cannot record the run at all.
        """
        try:
            (self.folder / "wandb").mkdir(parents=True, exist_ok=True)
            return self._started(arguments)
        except RunError:
            raise
        except Exception as error:
            if self.on_unreachable == "fail":
                raise RunError(
                    f"W&B cannot record this run: {first_line(error)} "
                    "(logger.wandb.on_unreachable is fail)"
                ) from error
            raise

    def _started(self, arguments: dict[str, Any]) -> Any:
        known = self._known_id()
        mode, reason = self._settle_mode()
        run_id = known or _new_id()
        if mode == "online":
            try:
                return self._init("online", arguments, run_id)
            except Exception as error:  # CommError, UsageError, AuthenticationError, OSError ...
                mode, reason = "offline", first_line(error)
                self._fail_or_warn(_advised(reason))
                # wandb's service process still holds the id of the failed run, so it must end
                # first. If it ended by itself, it would print its log location, in colors.
                wandb_service.kill_service()
                wandb_service.teardown()
                if known is None or "deleted" in reason:
                    run_id = _new_id()
        run = self._init(mode, arguments, run_id)
        if mode != "disabled":
            log.info(
                "W&B is offline (%s). To send the run later: %s",
                reason,
                as_typed(f"ganforge sync runs={self.folder}"),
            )
        return run

    def _settle_mode(self) -> tuple[str, str]:
        """Returns "online", "offline" or "disabled", and the reason if it is not online."""
        mode = wandb_access.configured_mode() if self.mode == "auto" else self.mode
        if mode in ("offline", "disabled"):
            return mode, f"mode {mode}"
        if not wandb_access.has_credentials():
            if self.mode == "online":
                self._fail_or_warn("no credentials; run `wandb login` or set WANDB_API_KEY")
            return "offline", "no credentials"
        if problem := wandb_access.unreachable(self.timeout):
            self._fail_or_warn(problem)
            return "offline", problem
        return "online", ""

    def _fail_or_warn(self, reason: str) -> None:
        if self.on_unreachable == "fail":
            raise RunError(f"W&B cannot go online: {reason} (logger.wandb.on_unreachable is fail)")
        log.warning("W&B CANNOT GO ONLINE: %s. This run is recorded offline.", reason)

    def _init(self, mode: str, arguments: dict[str, Any], run_id: str) -> Any:
        """Starts a run and saves its id, so that resuming continues the same W&B run."""
        seconds = wandb_service.start_seconds() + (self.timeout + INIT_MARGIN) * (mode == "online")
        run = wandb_service.bounded(
            lambda: self._call_init(mode, arguments, run_id), seconds, "wandb.init"
        )
        wandb_service.close_at_exit()
        try:
            atomic.write(self._id_file, run_id.encode())
        except OSError as error:
            log.warning("%s cannot be written (%s); resuming starts a new run in W&B.",
                        self._id_file, error.strerror)  # fmt: skip
        return run

    def _call_init(self, mode: str, arguments: dict[str, Any], run_id: str) -> Any:
        import wandb

        settings: dict[str, Any] = {
            "init_timeout": self.timeout,
            "login_timeout": self.timeout,
            "silent": mode != "online",
            # wandb would record the repository of the working directory, which may be unrelated.
            "disable_git": True,
            "git_commit": self.commit,
            "git_remote_url": self.remote,
            # The metadata include the full command line, so they are off if it holds a secret.
            "x_disable_meta": redacted(sys.argv) != sys.argv,
        }
        if "finish_timeout" in wandb.Settings.model_fields:
            settings["finish_timeout"] = FINISH_SECONDS
        arguments = {name: v for name, v in arguments.items() if name != "anonymous"}
        # Names come from recipes and sweeps and may be longer than W&B accepts.
        arguments |= {key: trimmed(arguments.get(key)) for key in ("name", "group")}
        arguments = redacted(arguments)
        arguments |= {"id": run_id, "mode": mode, "reinit": "finish_previous"}
        run = wandb.init(**arguments, settings=wandb.Settings(**settings))
        _define_axes(run)
        return run

    @property
    def _id_file(self) -> Path:
        return self.folder / "wandb" / "run_id"

    def _known_id(self) -> str | None:
        """Returns the saved id of this run, or the id set by `wandb agent`; None if neither."""
        try:
            run_id = read_regular(self._id_file).decode().strip()
        except FileNotFoundError:
            return (
                os.environ.get("WANDB_RUN_ID") or None if "WANDB_SWEEP_ID" in os.environ else None
            )
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read (%s); W&B gets a new run.", self._id_file, error)
            return None
        if run_id and not is_id(run_id):
            log.warning("%s does not contain a run id; W&B gets a new run.", self._id_file)
            return None
        return run_id or None


def _new_id() -> str:
    return "".join(secrets.choice(ID_CHARACTERS) for _ in range(8))


def _define_axes(run: Any) -> None:
    for axis in ("step", "images_seen"):
        run.define_metric(axis)
    # No summary mode: the summary must stay the last value as a number, as W&B sweeps read it.
    run.define_metric("*", step_metric="images_seen", step_sync=True)


def _advised(reason: str) -> str:
    """Returns the server's error message with advice for known causes."""
    lower = reason.lower()
    if any(sign in lower for sign in ("401", "403", "permission", "unauthorized", "api key")):
        return f"{reason} (check WANDB_API_KEY with `wandb login`, and logger.wandb.entity)"
    if any(sign in lower for sign in ("404", "not found")):
        return f"{reason} (check WANDB_BASE_URL, logger.wandb.entity and logger.wandb.project)"
    return reason


def save_copies(run: Any, files: list[Path]) -> None:
    """Uploads redacted copies of ``files`` to the folder ``run`` of the run's files."""
    if run.disabled:
        return
    folder = Path(run.dir) / "run"
    folder.mkdir(exist_ok=True)
    for path in files:
        copy = folder / path.name
        copy.write_text(redacted(read_regular(path).decode()))
        run.save(str(copy), base_path=run.dir, policy="now")
