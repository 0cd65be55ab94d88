from __future__ import annotations

import logging
import os
import secrets
import string
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger as LightningWandbLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from ganforge import atomic
from ganforge.errors import ConfigError, RunError
from ganforge.loggers import wandb_access

Mode = Literal["auto", "online", "offline"]
OnUnreachable = Literal["offline", "fail"]

# What a run's summary keeps of a score: its best value beside its last.
BEST = {"min": ("fid", "fid_*", "kid", "kid_*"), "max": ("is", "is_*")}
FINISH_SECONDS = 60.0
ID_CHARACTERS = string.ascii_lowercase + string.digits

log = logging.getLogger(__name__)


class WandbLogger(LightningWandbLogger):
    """Points, pictures and the configuration in Weights & Biases.

    Never asks for a key and never ends a run for want of a server (unless told to). The run's id
    is kept in ``<folder>/wandb/run_id``, so that a resumed run goes on as the same one.
    ``images_seen`` is the default x-axis; ``step`` (generator updates) is there too.

    Args:
        folder: the run folder.
        project: where runs are gathered.
        entity: team or user; None for the account's default.
        name: what the run is called; None lets the server choose.
        group: what belongs together, such as the seeds of a recipe.
        job_type: kind of run, such as train or evaluate.
        tags: to filter runs by.
        notes: a longer description.
        mode: "online", "offline", or "auto" for online where credentials exist.
        on_unreachable: "offline" to go on offline where no server answers or lets us in, "fail" to
            raise RunError.
        timeout: seconds to wait for the server at the start.
    """

    def __init__(
        self,
        folder: str,
        project: str = "ganforge",
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        job_type: str = "train",
        tags: list[str] | None = None,
        notes: str | None = None,
        mode: Mode = "auto",
        on_unreachable: OnUnreachable = "offline",
        timeout: float = 20.0,
    ) -> None:
        _check("mode", mode, get_args(Mode))
        _check("on_unreachable", on_unreachable, get_args(OnUnreachable))
        if timeout <= 0:
            raise ConfigError(f"timeout must be above 0 seconds; got {timeout}")
        super().__init__(
            name=name,
            save_dir=folder,
            project=project,
            entity=entity,
            group=group,
            job_type=job_type,
            tags=list(tags or []),
            notes=notes,
        )
        self.folder = Path(folder)
        self.mode = mode
        self.on_unreachable = on_unreachable
        self.timeout = timeout
        self._silenced = False

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The ``wandb.Run``, started when first asked for."""
        if self._experiment is None:
            (self.folder / "wandb").mkdir(parents=True, exist_ok=True)
            self._experiment = self._start()
            self._define_axes()
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs a point; ``step`` becomes a value of its own, which panels may take as x-axis."""
        point = dict(metrics) if step is None else {**metrics, "step": step}
        self._tell(lambda: self.experiment.log(point))

    @rank_zero_only
    def log_picture(self, name: str, picture: Image.Image, step: int, caption: str = "") -> None:
        """Logs ``picture`` as a PNG of the same pixels; see PictureLogger."""

        def send() -> None:
            import wandb

            image = wandb.Image(picture, caption=caption or None, file_type="png")
            self.experiment.log({name: image, "step": step})

        self._tell(send)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Logs the run's configuration, given as plain containers."""
        parent = super().log_hyperparams
        self._tell(lambda: parent(params))

    def finalize(self, status: str) -> None:
        """Leaves the run open: a fit may be followed by an evaluation. See :func:`finish`."""

    def _tell(self, send: Callable[[], object]) -> None:
        """Calls ``send``, which must not end a training that goes well."""
        if self._silenced:
            return
        try:
            send()
        except RunError:
            raise
        except Exception as error:  # wandb's own, broken pipes to its service, a full disk ...
            self._silenced = True
            log.warning(
                "W&B takes no more points (%s: %s); training goes on, metrics.csv has them all.",
                type(error).__name__,
                error,
            )

    def _start(self) -> Any:
        mode, reason = self._settle_mode()
        if mode == "online":
            try:
                return self._init("online")
            except Exception as error:  # CommError, UsageError, AuthenticationError, OSError ...
                mode, reason = "offline", _first_line(error)
                self._fail_or_warn(reason)
        run = self._init(mode)
        if mode != "disabled":
            folder = Path(run.dir).parent
            log.info("W&B is offline (%s). To send the run later: wandb sync %s", reason, folder)
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

    def _init(self, mode: str) -> Any:
        import wandb

        settings: dict[str, Any] = {
            "init_timeout": self.timeout,
            "login_timeout": self.timeout,
            "silent": mode != "online",
        }
        if "finish_timeout" in wandb.Settings.model_fields:
            settings["finish_timeout"] = FINISH_SECONDS
        arguments = {name: v for name, v in self._wandb_init.items() if name != "anonymous"}
        arguments |= {"id": self._run_id(), "mode": mode, "reinit": "finish_previous"}
        return wandb.init(**arguments, settings=wandb.Settings(**settings))

    def _run_id(self) -> str:
        path = self.folder / "wandb" / "run_id"
        if path.exists() and (known := path.read_text().strip()):
            return known
        new = os.environ.get("WANDB_RUN_ID", "") if "WANDB_SWEEP_ID" in os.environ else ""
        if not new:  # `wandb agent` names its runs itself
            new = "".join(secrets.choice(ID_CHARACTERS) for _ in range(8))
        atomic.write(path, new.encode())
        return new

    def _define_axes(self) -> None:
        run = self._experiment
        assert run is not None
        for axis in ("step", "images_seen"):
            run.define_metric(axis)
        run.define_metric("*", step_metric="images_seen", step_sync=True)
        for best, names in BEST.items():
            for name in names:
                # a definition of its own replaces the one of "*": the x-axis is named again
                summary = f"{best},last"
                run.define_metric(name, step_metric="images_seen", step_sync=True, summary=summary)


def finish(failed: bool = False) -> None:
    """Closes the open W&B run, if any, so that the next job of a multirun starts its own."""
    wandb = sys.modules.get("wandb")
    if wandb is None or wandb.run is None:
        return
    try:
        wandb.finish(exit_code=int(failed))
    except Exception as error:  # the job's own result or error must be what is seen
        log.warning("W&B could not close its run: %s", _first_line(error))


def _check(name: str, value: str, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise ConfigError(f"{name} must be one of {', '.join(legal)}; got {value!r}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
