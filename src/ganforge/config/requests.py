"""Requests: what each verb is asked to do, as typed root keys of its configuration.

Importing this module imports neither torch nor lightning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    Weights = Literal["ema", "raw"]
    Labels = Literal["balanced", "data"]
    Value = Literal["final", "best"]
else:  # OmegaConf knows no literals; the verbs check the values
    Weights = Labels = Value = str


@dataclass
class TrainRequest:
    """Root keys of conf/train.yaml. Any other key is refused."""

    seed: int = 0
    name: str = ""
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    log_dir: str = "logs"
    resume: str | None = None
    resume_allow: list[str] = field(default_factory=list)
    dry_run: bool = False
    run_dir: str | None = None
    trust: Any = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    condition: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    regularizer: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    augment: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    tune: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)


@dataclass
class WeightsRequest:
    """Root keys of every verb that loads the weights of a run."""

    run: str = "latest"
    log_dir: str = "logs"
    checkpoint: str = "last"
    trust: Any = field(default_factory=list)
    weights: Weights = "ema"


@dataclass
class EvaluateRequest(WeightsRequest):
    """Root keys of conf/evaluate.yaml."""

    truncation: float | None = None
    fake: str | None = None
    real: str | None = None
    image_size: int | None = None
    n: int | None = None
    n_real: int | None = None
    bootstrap: int = 0
    batch_size: int | None = None
    seed: int = 0
    split: str | None = None
    labels: Labels = "balanced"
    out: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass
class SampleRequest(WeightsRequest):
    """Root keys of conf/sample.yaml, except ``class``, which is a Python keyword; see KEYWORDS."""

    n: int = 64
    seed: int = 0
    truncation: float | None = None
    noise: str | None = None
    style_mix: bool = False
    out: str | None = None


@dataclass
class TranslateRequest(WeightsRequest):
    """Root keys of conf/translate.yaml."""

    input: str | None = None
    out: str | None = None
    direction: str | None = None
    seed: int = 0
    tile: int | None = None
    overlap: int | None = None


@dataclass
class PrepareRequest:
    """Root keys of conf/prepare.yaml."""

    data: dict[str, Any] = field(default_factory=dict)
    out: str | None = None
    format: str = "webdataset"
    encoding: str = "png"
    quality: int | None = None
    shard_mb: float = 128.0
    seed: int = 0


@dataclass
class CompareRequest:
    """Root keys of conf/compare.yaml."""

    runs: Any = None
    log_dir: str = "logs"
    by: Any = None
    value: Value = "final"
    level: float = 0.05
    out: str | None = None


@dataclass
class ReportRequest:
    """Root keys of conf/report.yaml."""

    run: str | None = None
    sweep: Any = None
    log_dir: str = "logs"
    by: Any = None
    score: str | None = None
    max_mb: float = 10.0
    out: str | None = None


@dataclass
class SyncRequest:
    """Root keys of conf/sync.yaml."""

    runs: Any = None
    log_dir: str = "logs"
    dry_run: bool = False
    timeout: float = 20.0


@dataclass
class DashboardRequest:
    """Root keys of conf/dashboard.yaml."""

    entity: str | None = None
    project: str = "ganforge"
    runs: Any = None
    log_dir: str = "logs"
    workspace: str | None = None
    report: str | None = None
    print: bool = False


@dataclass
class CacheRequest:
    """Root keys of conf/cache.yaml."""

    clear: str | None = None


@dataclass
class RunsRequest:
    """Root keys of conf/runs.yaml."""

    runs: Any = None
    log_dir: str = "logs"
    status: Any = None
    where: dict[str, Any] = field(default_factory=dict)
    older_than: str | None = None
    newer_than: str | None = None
    sort: str = "age"
    remove: bool = False
    checkpoints_only: bool = False


REQUESTS: dict[str, type] = {
    "train": TrainRequest,
    "evaluate": EvaluateRequest,
    "sample": SampleRequest,
    "translate": TranslateRequest,
    "prepare": PrepareRequest,
    "compare": CompareRequest,
    "report": ReportRequest,
    "sync": SyncRequest,
    "dashboard": DashboardRequest,
    "cache": CacheRequest,
    "runs": RunsRequest,
}
# Optional keys that are Python keywords and thus cannot be fields; their values are not typed.
KEYWORDS: dict[str, list[str]] = {"sample": ["class"]}
