from __future__ import annotations

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import WandbLogger as LightningWandbLogger
from lightning.pytorch.utilities import rank_zero_only
from PIL import Image

from ganforge.config.wandb_names import name_faults
from ganforge.errors import ConfigError, RunError
from ganforge.loggers.facts import RunFacts
from ganforge.loggers.no_run import NoRun
from ganforge.loggers.wandb import service as wandb_service
from ganforge.loggers.wandb.access import first_line
from ganforge.loggers.wandb.contents import allowed, summarized
from ganforge.loggers.wandb.run import FINISH_SECONDS, Mode, OnUnreachable, WandbRun, save_copies
from ganforge.redaction import redacted

POINTS = "points"
ARTIFACT_SECONDS = 600.0  # wandb first copies the checkpoint, which may have gigabytes
LOST = (ConnectionError, wandb_service.WandbStuckError)  # the service process is gone or stuck

log = logging.getLogger(__name__)


class WandbLogger(LightningWandbLogger):
    """Logs metrics, images and the configuration to Weights & Biases.

    Never prompts for a key and never blocks or ends a run: every call into wandb has a time limit,
    and if W&B fails, training continues without it. The run id is stored in
    ``<folder>/wandb/run_id``, so that resuming continues the same W&B run. ``images_seen`` is the
    default x-axis; ``step`` (generator updates) is also logged.

    Args:
        folder: the run folder.
        project: W&B project.
        entity: team or user; None for the account's default.
        name: name of the run; None lets the server choose.
        group: group of related runs, such as the seeds of a recipe; None uses the sweep's name.
        job_type: kind of run, such as train or evaluate.
        tags: tags for filtering runs.
        notes: a longer description.
        mode: "online", "offline", or "auto" for online if there are credentials.
        on_unreachable: "offline" to continue offline if the server does not answer or denies
            access, "fail" to raise RunError.
        timeout: seconds to wait for the server at the start.
        checkpoints: whether to upload the checkpoints ``best`` and ``latest`` as artifacts when
            training ends.
        tables: whether to add each image to a table as well, as one row.
        alerts: whether to send alerts on collapse, divergence, failure and completion.
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
        checkpoints: bool = False,
        tables: bool = False,
        alerts: bool = False,
    ) -> None:
        _check("mode", mode, get_args(Mode))
        _check("on_unreachable", on_unreachable, get_args(OnUnreachable))
        if timeout <= 0:
            raise ConfigError(f"timeout must be above 0 seconds; got {timeout}")
        names = {"project": project, "entity": entity, "group": group, "job_type": job_type}
        if faults := name_faults({**names, "tags": list(tags or [])}):
            raise ConfigError("; ".join(faults))
        super().__init__(
            name=name,
            save_dir=folder,
            project=project,
            entity=entity,
            group=group,
            job_type=job_type,
            tags=list(tags or []),
            notes=notes or None,
        )
        self.folder = Path(folder)
        self.checkpoints = checkpoints
        self.tables = tables
        self.alerts = alerts
        self._start = WandbRun(self.folder, mode, on_unreachable, timeout)
        self._tables: dict[str, Any] = {}
        self._images_seen = 0.0
        self._silenced = False
        self._rejected: set[str] = set()

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The ``wandb.Run``, started on first use; a ``NoRun`` after W&B has failed.

        Does not raise other errors: Lightning reads this property in its own hooks, where an
        exception would end training.

        Raises:
            RunError: if the run cannot start and ``on_unreachable`` is "fail".
        """
        if self._experiment is None:
            try:
                self.open()
            except RunError:
                raise
            except Exception as error:  # no service process, a full disk, invalid settings ...
                self._silence("W&B CANNOT RECORD THIS RUN", error)
                wandb_service.teardown()
        return self._experiment

    def open(self) -> Any:
        """Starts and returns the ``wandb.Run``.

        Raises:
            Exception: if W&B cannot record this run.
        """
        self._experiment = self._start.start(self._wandb_init)
        return self._experiment

    @rank_zero_only
    def log_facts(self, facts: RunFacts) -> None:
        """Adds the values to the W&B config and uploads the files; see FactLogger."""
        facts = allowed(facts)
        self._wandb_init["group"] = self._wandb_init.get("group") or facts.group
        self._start.commit, self._start.remote = facts.commit, facts.remote

        def send(run: Any) -> None:
            run.config.update(redacted(facts.values), allow_val_change=True)
            save_copies(run, facts.files)

        self._send("facts", send)

    @rank_zero_only
    def continue_from(self, step: int, images_seen: int) -> None:
        """Sets the ``images_seen`` of images that a resumed run logs before its first point."""
        self._images_seen = float(images_seen)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Logs ``metrics``, with ``step`` as a value that panels can use as x-axis."""
        self._images_seen = float(metrics.get("images_seen", self._images_seen))
        point = dict(metrics) if step is None else {**metrics, "step": step}
        self._send(POINTS, lambda run: run.log(point))

    @rank_zero_only
    def log_picture(
        self,
        name: str,
        picture: Image.Image,
        step: int,
        caption: str = "",
        images_seen: int | None = None,
    ) -> None:
        """Logs ``picture`` as a PNG; see PictureLogger."""
        if images_seen is not None:
            self._images_seen = float(images_seen)

        def send(run: Any) -> None:
            import wandb

            image = wandb.Image(picture, caption=caption or None, file_type="png")
            point = {name: image, "step": step, "images_seen": self._images_seen}
            if self.tables:
                point[f"{name}_table"] = self._with_row(name, image, step)
            run.log(point)

        self._send("pictures", send)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Logs the configuration, given as plain containers, with secrets redacted."""
        parent = super().log_hyperparams
        values = vars(params) if isinstance(params, Namespace) else params

        def send(run: Any) -> None:
            # Under `wandb agent`, the sweep's values are locked and must not be overwritten.
            fixed = set(run.config.keys()) if "WANDB_SWEEP_ID" in os.environ else set()
            parent({name: redacted(v) for name, v in values.items() if name not in fixed})

        self._send("configuration", send)

    @rank_zero_only
    def log_summary(self, summary: dict[str, Any]) -> None:
        """Updates the W&B summary with the status and the best scores; see SummaryLogger."""
        values = summarized(summary)
        self._send("summary", lambda run: run.summary.update(values))

    @rank_zero_only
    def log_checkpoint(self, path: Path, aliases: list[str], facts: dict[str, Any]) -> None:
        """Uploads a checkpoint as an artifact of type "model"; see CheckpointLogger."""

        def send(run: Any) -> None:
            import wandb

            artifact = wandb.Artifact(f"checkpoint-{run.id}", type="model", metadata=facts)
            artifact.add_file(str(path), name=path.name)
            run.log_artifact(artifact, aliases=aliases)

        self._send("checkpoints", send, ARTIFACT_SECONDS)

    @rank_zero_only
    def alert(self, title: str, text: str, level: str) -> None:
        """Sends a W&B alert, by the channel set in the account (mail or chat); see AlertLogger."""
        self._send("alerts", lambda run: run.alert(title=title, text=text, level=level))

    def finalize(self, status: str) -> None:
        """Does nothing, since an evaluation may follow; :func:`finish` closes the run."""

    def _with_row(self, name: str, image: Any, step: int) -> Any:
        import wandb

        table = self._tables.get(name)
        if table is None:
            columns: list[str | int] = ["step", "images_seen", name]
            table = self._tables[name] = wandb.Table(columns=columns, log_mode="INCREMENTAL")
        table.add_data(step, self._images_seen, image)
        return table

    def _send(
        self, what: str, send: Callable[[Any], object], seconds: float = wandb_service.CALL_SECONDS
    ) -> None:
        """Calls ``send`` with the run; logs errors instead of raising them.

        Args:
            what: kind of data, for messages; errors are reported once per kind.
            send: calls wandb.
            seconds: time limit of the call.

        Raises:
            RunError: if the run cannot start and ``on_unreachable`` is "fail".
        """
        run = self.experiment
        if self._silenced:
            return
        try:
            wandb_service.bounded(lambda: send(run), seconds, f"W&B: {what}")
        except Exception as error:
            if _is_lost(what, error):
                self._silence("W&B ACCEPTS NO MORE POINTS", error)
                if isinstance(error, LOST):
                    wandb_service.teardown()
            elif what not in self._rejected:
                self._rejected.add(what)
                log.warning("W&B did not accept %s: %s", what, first_line(error))

    def _silence(self, problem: str, error: Exception) -> None:
        self._silenced, self._experiment = True, cast(Any, NoRun())
        log.warning(
            "%s (%s: %s). Training continues, and metrics.csv has every point; "
            "logger=csv runs without W&B.",
            problem,
            type(error).__name__,
            first_line(error),
        )


def finish(failed: bool = False) -> None:
    """Closes the open W&B run, if any, so that the next job of a multirun starts a new one.

    Takes at most FINISH_SECONDS plus a margin plus CLOSE_SECONDS, about 80 seconds in total.
    """
    wandb = sys.modules.get("wandb")
    if wandb is None or getattr(wandb, "run", None) is None:
        return
    try:
        wandb_service.bounded(
            lambda: wandb.finish(exit_code=int(failed)), FINISH_SECONDS + 10, "wandb.finish"
        )
    except Exception as error:  # must not hide the result or error of the job
        log.warning("W&B could not close its run, and may lack its last values (%s); metrics.csv "
                    "has all of them", first_line(error))  # fmt: skip
        wandb_service.teardown()


def _is_lost(what: str, error: Exception) -> bool:
    """Returns whether W&B is unusable, as opposed to a single value that it cannot encode."""
    return isinstance(error, LOST) or (
        what == POINTS and not isinstance(error, (TypeError, ValueError, OverflowError))
    )


def _check(name: str, value: str, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise ConfigError(f"{name} must be one of {', '.join(legal)}; got {value!r}")
