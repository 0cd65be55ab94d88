from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ganforge.callbacks.alerts import COLLAPSE_IMAGES
from ganforge.callbacks.evaluation import evaluations
from ganforge.errors import ConfigError, PrunedError
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.needs import translates
from ganforge.search.objectives import score_named
from ganforge.search.settings import Search
from ganforge.search.storage import Storage
from ganforge.search.study import FOLDER, open_study
from ganforge.streams import Stream, mix

if TYPE_CHECKING:
    from optuna.trial import Trial

log = logging.getLogger("ganforge")


class TrialReports(Callback):
    """Reports each evaluation to the search and stops a trial that is pruned.

    A trial is pruned if the search's pruner decides so, or on mode collapse. It may run in another
    process than the search, which it finds by storage, study and trial number.

    Args:
        search: settings of the search, including storage, study and trial.

    Raises:
        ConfigError: if storage, study or trial is missing.
    """

    def __init__(self, search: Search) -> None:
        if search.storage is None or search.study is None or search.trial is None:
            raise ConfigError("a trial needs tune.storage, tune.study and tune.trial, set by tune=")
        self.search = search
        self.trial: Trial | None = None
        self._reported = 0
        self._widest = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Opens the trial in the storage and stores the run folder in it, on rank 0."""
        if not trainer.is_global_zero or self.trial is not None:
            return
        from optuna.trial import Trial

        search = self.search
        storage = Storage(cast(str, search.storage), search.beat_seconds)
        study = open_study(search, storage, cast(str, search.study))
        number = storage.optuna.get_trial_id_from_study_id_trial_number(
            study._study_id, cast(int, search.trial)
        )
        self.trial = Trial(study, number)
        self.trial.set_user_attr(FOLDER, str(trainer.default_root_dir))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports the evaluations of a resumed run and measures the initial image diversity."""
        if self._checks_collapse(pl_module):
            self._widest = max(self._widest, self._diversity(pl_module))
        self._report_new(trainer, pl_module)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Reports a new evaluation, if there is one."""
        self._report_new(trainer, pl_module)

    def _report_new(self, trainer: Trainer, pl_module: LightningModule) -> None:
        points = [point for scored in evaluations(trainer) for point in scored.history]
        if len(points) == self._reported:
            return
        self._reported = len(points)
        at_end = 0 < trainer.max_steps <= cast(AdversarialModule, pl_module).iteration
        reason = self._collapsed(pl_module) or self._report(points, at_end)
        # All ranks must stop together: the others would wait for a rank that exits alone.
        reason = trainer.strategy.broadcast(reason)
        if reason:
            raise PrunedError(f"{reason} at step {cast(AdversarialModule, pl_module).iteration}")

    def _report(self, points: list[dict[str, int | float]], at_end: bool) -> str:
        """Reports to the study; returns the reason to prune the trial, or "".

        Args:
            points: all evaluations so far.
            at_end: whether training has reached its end, so that pruning would save nothing.
        """
        if self.trial is None or len(self.search.objectives) > 1:
            return ""
        ((name, direction),) = self.search.objectives.items()
        series = [(int(p["step"]), _value(p, name)) for p in points if p["step"]]
        values = [(step, value) for step, value in series if value is not None]
        if any(not math.isfinite(value) for _, value in values):
            return f"{name} is not finite"
        best = min if direction == "minimize" else max
        for index, (step, value) in enumerate(values):
            so_far = best(v for _, v in values[: index + 1])
            self._send(so_far if self.search.best else value, step)
        # Evaluated at the end too: ASHA records the rung's value here for comparison with others.
        hopeless = bool(values) and self._hopeless()
        return "worse than other trials" if hopeless and not at_end else ""

    def _send(self, value: float, step: int) -> None:
        from optuna.exceptions import UpdateFinishedTrialError

        assert self.trial is not None
        if step in self.trial.storage.get_trial(self.trial._trial_id).intermediate_values:
            return
        try:
            self.trial.report(value, step)
        except UpdateFinishedTrialError:
            raise PrunedError("the search considered this trial dead and restarted it") from None
        except Exception as error:  # a temporary server outage must not end the training
            log.warning("cannot report step %d to the study: %s", step, error)

    def _hopeless(self) -> bool:
        assert self.trial is not None
        try:
            return self.trial.should_prune()
        except Exception as error:
            log.warning("cannot query the study: %s", error)
            return False

    def state_dict(self) -> dict[str, float]:
        """Returns the largest image diversity measured so far."""
        return {"widest": self._widest}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Restores the largest image diversity measured before the run was resumed."""
        self._widest = state_dict["widest"]

    def _checks_collapse(self, model: object) -> bool:
        return self.search.collapse > 0 and not translates(model)

    def _collapsed(self, pl_module: LightningModule) -> str:
        """Returns the reason to prune on mode collapse, or "".

        The diversity of the images is compared with the run's own maximum, because an absolute
        threshold would depend on the data and the architecture.
        """
        if not self._checks_collapse(pl_module):
            return ""
        now = self._diversity(pl_module)
        self._widest = max(self._widest, now)
        if now >= self.search.collapse * self._widest:
            return ""
        return f"collapsed: the diversity of images fell from {self._widest:.2g} to {now:.2g}"

    def _diversity(self, pl_module: LightningModule) -> float:
        """Returns the standard deviation over images of fixed latents, averaged over pixels."""
        model, device = cast(AdversarialModule, pl_module), pl_module.device
        # Sampling must not change the random state of training.
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            seed = mix(model.seed, Stream.COLLAPSE)
            images = model.sample(COLLAPSE_IMAGES, seed=seed, weights="raw", start=0, labels=None)
        return float(images.flatten(1).std(0).mean())


def _value(point: dict[str, int | float], name: str) -> float | None:
    score = score_named(name, [key for key in point if key not in ("step", "images_seen")])
    return None if score is None else float(point[score])
