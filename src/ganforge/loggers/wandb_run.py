"""Starting a run in Weights & Biases: online where that works, offline where not."""

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
from ganforge.errors import RunError
from ganforge.loggers import wandb_access
from ganforge.redaction import redacted

Mode = Literal["auto", "online", "offline"]
OnUnreachable = Literal["offline", "fail"]

FINISH_SECONDS = 60.0
ID_CHARACTERS = string.ascii_lowercase + string.digits

log = logging.getLogger(__name__)


@dataclass
class WandbRun:
    """How a run is started.

    Attributes:
        folder: the run folder.
        mode: "online", "offline", or "auto" for online where credentials exist.
        on_unreachable: "offline" or "fail".
        timeout: seconds to wait for the server.
        commit: of the code; None where it is not known.
        remote: address of its repository.
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
            arguments: of ``wandb.init``, but for id, mode and settings.

        Raises:
            RunError: where it cannot go online and that is to be an end.
        """
        (self.folder / "wandb").mkdir(parents=True, exist_ok=True)
        run = self._started(arguments)
        _define_axes(run)
        return run

    def _started(self, arguments: dict[str, Any]) -> Any:
        mode, reason = self._settle_mode()
        if mode == "online":
            try:
                return self._init("online", arguments)
            except Exception as error:  # CommError, UsageError, AuthenticationError, OSError ...
                mode, reason = "offline", first_line(error)
                self._fail_or_warn(reason)
        run = self._init(mode, arguments)
        if mode != "disabled":
            log.info(
                "W&B is offline (%s). To send the run later: ganforge sync runs=%s",
                reason,
                self.folder,
            )
        return run

    def _settle_mode(self) -> tuple[str, str]:
        """Returns "online", "offline" or "disabled", and why it is not online."""
        wished = wandb_access.configured_mode() if self.mode == "auto" else self.mode
        if wished in ("offline", "disabled"):
            return wished, f"mode {wished}"
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

    def _init(self, mode: str, arguments: dict[str, Any]) -> Any:
        import wandb

        settings: dict[str, Any] = {
            "init_timeout": self.timeout,
            "login_timeout": self.timeout,
            "silent": mode != "online",
            # wandb would describe the repository of the working folder, whatever that is of.
            "disable_git": True,
            "git_commit": self.commit,
            "git_remote_url": self.remote,
            # It would also send the command line as typed.
            "x_disable_meta": redacted(sys.argv) != sys.argv,
        }
        if "finish_timeout" in wandb.Settings.model_fields:
            settings["finish_timeout"] = FINISH_SECONDS
        arguments = {name: v for name, v in arguments.items() if name != "anonymous"}
        arguments |= {"id": self._id(), "mode": mode, "reinit": "finish_previous"}
        return wandb.init(**arguments, settings=wandb.Settings(**settings))

    def _id(self) -> str:
        """Returns the run's id, which is kept so that a resumed run goes on as the same one."""
        path = self.folder / "wandb" / "run_id"
        if path.exists() and (known := path.read_text().strip()):
            return known
        new = os.environ.get("WANDB_RUN_ID", "") if "WANDB_SWEEP_ID" in os.environ else ""
        if not new:  # `wandb agent` names its runs itself
            new = "".join(secrets.choice(ID_CHARACTERS) for _ in range(8))
        atomic.write(path, new.encode())
        return new


def _define_axes(run: Any) -> None:
    for axis in ("step", "images_seen"):
        run.define_metric(axis)
    # Its summary stays a plain number, the last one: sweeps of W&B read no other.
    run.define_metric("*", step_metric="images_seen", step_sync=True)


def first_line(error: Exception) -> str:
    """Returns what an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
