"""Groups runs that are the same experiment with different seeds, and labels the groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ganforge.config.check import did_you_mean
from ganforge.errors import ConfigError
from ganforge.runs.past import PastRun

# Settings that affect neither the weights nor the cost of training. Evaluation settings are not
# part of the experiment: another protocol makes another column, not another group.
IGNORED = ["name", "tags", "notes", "log_dir", "run_dir", "resume", "dry_run", "logger", "seed"]
IGNORED += ["tune", "sampler", "pruner", "data.cache", "data.cache_limit_mb"]
IGNORED += ["features", "metrics", "data.workers", "data.in_memory", "data.memory_limit_mb"]
IGNORED += ["trainer.log_every_n_steps", "trainer.profiler", "trainer.detect_anomaly"]
WATCHERS = "ganforge.callbacks."  # callbacks that leave training bit for bit unchanged
# Option groups that come first in labels; the others follow alphabetically.
FIRST = ("model", "data", "loss", "regularizer", "network", "augment", "condition", "optimizer")


@dataclass(frozen=True)
class Omitted:
    """A run excluded from the group's mean.

    Attributes:
        run: the run.
        reason: its status, or that a newer run with the same seed is used: each seed counts once,
            even if the runs have different scores.
    """

    run: PastRun
    reason: str


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed, or also in settings that ``by`` does not list.

    Attributes:
        label: label that distinguishes the group from the others.
        runs: completed runs, the newest of each seed.
        omitted: the remaining runs.
        pooled: settings other than the seed in which the runs differ; if there are any, the spread
            is not over seeds only.
    """

    label: str
    runs: list[PastRun]
    omitted: list[Omitted]
    pooled: list[str]

    @property
    def seeds(self) -> int:
        """Number of distinct seeds among ``runs``."""
        return len({run.seed for run in self.runs})


def experiment(run: PastRun) -> dict[str, Any]:
    """Returns the settings that define a run's experiment: without seed, names and monitoring."""
    watchers = {
        key.removesuffix("_target_")
        for key, value in run.settings.items()
        if key.startswith("callbacks.") and str(value).startswith(WATCHERS)
    }
    ignored = tuple(f"{key}." for key in IGNORED) + tuple(watchers)
    # A removed callback is stored as null or as an empty mapping.
    values = {key: value for key, value in run.settings.items() if value not in (None, {})}
    return {key: value for key, value in values.items() if not f"{key}.".startswith(ignored)}


def group_runs(runs: list[PastRun], by: list[str]) -> list[Group]:
    """Returns groups in the order of their first runs.

    Args:
        runs: all runs.
        by: option groups (``loss``) or dotted keys to group by; empty for all settings except the
            seed. Runs that differ in other settings are pooled; ``Group.pooled`` lists these.

    Raises:
        ConfigError: if no run has one of the keys.
    """
    experiments = {run.path: _key(experiment(run).items()) for run in runs}
    for key in by:
        if all(run.setting(key) is None for run in runs):
            known = sorted({name for run in runs for name in (*run.choices, *experiment(run))})
            raise ConfigError(f"by={key}: no run has that setting; {did_you_mean(key, known)}")
    kinds: dict[Any, list[PastRun]] = {}
    for run in runs:
        kind = _key((k, run.setting(k)) for k in by) if by else experiments[run.path]
        kinds.setdefault(kind, []).append(run)
    members = list(kinds.values())
    labels = labels_of([group[0] for group in members], by)
    return [_group(label, group) for label, group in zip(labels, members, strict=True)]


def labels_of(runs: list[PastRun], by: list[str]) -> list[str]:
    """Returns short labels that distinguish experiments, such as ``model=dcgan, loss=hinge``.

    Args:
        runs: one run of each group.
        by: keys to use in the labels; empty to choose the necessary ones.
    """
    keys = by or distinguishing_keys(runs) or ["model", "data"]
    settings = [[(key, run.setting(key)) for key in keys] for run in runs]
    plain = [
        ", ".join(f"{key}={value}" for key, value in pairs if value is not None) or "runs"
        for pairs in settings
    ]
    # Different settings may print alike: a literal value, and an interpolation that resolves to it.
    twins = [plain[: i + 1].count(label) for i, label in enumerate(plain)]
    return [f"{one} ({n})" if n > 1 else one for one, n in zip(plain, twins, strict=True)]


def distinguishing_keys(runs: list[PastRun]) -> list[str]:
    """Returns a small set of settings that together distinguish the experiments.

    Greedy: a setting is added if it splits experiments that the earlier ones do not.
    """
    choices = {key for run in runs for key in run.choices if key not in (*IGNORED, "callbacks")}
    ordered = [key for key in FIRST if key in choices] + sorted(choices - {*FIRST})
    experiments = [experiment(run) for run in runs]
    single = sorted({key for settings in experiments for key in settings})
    keys: list[str] = []
    parts: list[Any] = [()] * len(runs)
    for key in [*ordered, *single]:
        values = [_text(run.choices.get(key, run.settings.get(key))) for run in runs]
        finer = list(zip(parts, values, strict=True))
        if len(set(finer)) > len(set(parts)):
            keys.append(key)
            parts = finer
    return keys


def _group(label: str, members: list[PastRun]) -> Group:
    newest: dict[Any, PastRun] = {}
    experiments = {run.path: experiment(run) for run in members}

    def same(run: PastRun) -> Any:
        return _text(run.seed), _key(experiments[run.path].items())

    for run in sorted(members, key=lambda run: run.age):
        if run.status == "completed":
            newest[same(run)] = run
    counted = [run for run in members if newest.get(same(run)) is run]
    counts = [(run, newest.get(same(run))) for run in members]
    omitted = [Omitted(run, _reason(run, newer)) for run, newer in counts if newer is not run]
    pooled = _differing([experiments[run.path] for run in counted])
    return Group(label, counted, omitted, pooled)


def _reason(run: PastRun, newest: PastRun | None) -> str:
    if run.status != "completed" or newest is None:
        return run.status
    lost = run.summary.get("metrics", {}).keys() - newest.summary.get("metrics", {}).keys()
    scores = f", which has no {', '.join(sorted(lost))}" if lost else ""
    return f"seed {run.seed} again: a newer run counts{scores}"


def _differing(experiments: list[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for settings in experiments for key in settings)
    return [key for key in keys if len({_text(one.get(key)) for one in experiments}) > 1]


def _key(settings: Iterable[tuple[str, Any]]) -> Any:
    return frozenset((key, _text(value)) for key, value in settings)


_text: Callable[[Any], str] = repr  # lists are not hashable
