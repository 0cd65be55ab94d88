"""Models, data and trainers that take milliseconds, built as in real runs."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from ganforge.compute.hardware import TrainerSettings
from ganforge.data.sets.fake import FakeImages
from ganforge.losses.nonsaturating import NonsaturatingLoss
from ganforge.models.engine.adversarial import AdversarialModule
from ganforge.models.engine.averaging import ExponentialMovingAverage
from ganforge.models.engine.observations import Observations
from ganforge.models.engine.update import Batch, Player, Update
from ganforge.models.gan import GAN
from ganforge.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from ganforge.networks.mlp import MLPDiscriminator, MLPGenerator
from ganforge.runs.build import Parts, prepare
from ganforge.runs.trainer import make_trainer
from ganforge.streams import Noise

LATENT = 4
BATCH = 8
ADAM = partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.9))
SGD = partial(torch.optim.SGD, lr=1.0)


def players(size: int = 8, channels: int = 1) -> dict[str, nn.Module]:
    """Two small fully connected networks with fixed weights, without batch statistics."""
    torch.manual_seed(0)
    return {
        "generator": MLPGenerator(size, channels, latent_dim=LATENT, hidden=[16]),
        "discriminator": MLPDiscriminator(size, channels, hidden=[16]),
    }


def convolutional_players(norm: str = "none") -> dict[str, nn.Module]:
    """Two small DCGAN networks with fixed weights for 16x16 gray images."""
    torch.manual_seed(0)
    return {
        "generator": DCGANGenerator(16, 1, latent_dim=LATENT, width=4, norm=norm),
        "discriminator": DCGANDiscriminator(16, 1, width=4, norm=norm),
    }


def game(kind: type[GAN] = GAN, **changes: Any) -> GAN:
    """A GAN of the small players, with Adam and a short moving average."""
    parts: dict[str, Any] = {
        **players(),
        "loss": NonsaturatingLoss(),
        "generator_optimizer": ADAM,
        "discriminator_optimizer": ADAM,
        "average": ExponentialMovingAverage(half_life=50.0, ramp=0.5),
        "seed": 3,
    }
    return kind(**parts | changes)


def update(
    player: Player, batch: Batch, noise: Noise, observed: dict[str, float] | None = None, **changes
) -> Update:
    """An update outside of a training; with ``observed``, its scalars are collected there."""
    facts: dict[str, Any] = {"number": 0, "images_seen": 0, "observing": observed is not None}
    observations = Collected({} if observed is None else observed)
    return Update(player, batch=batch, noise=noise, observations=observations, **facts | changes)


class Collected(Observations):
    """Collects scalars in a dictionary."""

    def __init__(self, values: dict[str, float]) -> None:
        super().__init__()
        self.values = values

    def add(self, name, value, lasting=False, index=0, share=1.0) -> None:
        self.values[name] = float(value)


def images(size: int = 8, **changes: Any) -> FakeImages:
    """64 random images, in batches of 8."""
    parts: dict[str, Any] = {"size": 64, "image_size": size, "channels": 1, "num_classes": 0}
    return FakeImages(**parts | {"batch_size": BATCH, "seed": 3} | changes)


class Points(Logger):
    """Records logged values as (step, values)."""

    name = "points"
    version = ""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[tuple[int | None, dict[str, float]]] = []

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.points.append((step, dict(metrics)))

    def column(self, name: str) -> list[float]:
        return [values[name] for _, values in self.points if name in values]


class AfterStep(Callback):
    """Calls a function with the module after each step, at the time of callbacks."""

    def __init__(self, call: Callable[[AdversarialModule], None]) -> None:
        self.call = call

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self.call(pl_module)


def trainer_for(
    model: AdversarialModule,
    data: FakeImages,
    root: Path,
    callbacks: Iterable[Callback] = (),
    logger: Logger | None = None,
    **settings: Any,
) -> Trainer:
    """Returns the Trainer of a run with these settings."""
    values = {"max_steps": 6, "accelerator": "cpu", "devices": 1, "precision": "32-true"}
    chosen = TrainerSettings(**values | {"log_every_n_steps": 1} | settings)
    hardware = chosen.hardware()
    prepare(model, hardware)
    parts = Parts(chosen, hardware, data, model, {})
    return make_trainer(parts, [logger] if logger else None, list(callbacks), root)


def fit(
    model: AdversarialModule,
    root: Path,
    data: FakeImages | None = None,
    resume: Path | None = None,
    **settings: Any,
) -> Trainer:
    """Trains a model as a run would and returns the Trainer."""
    data = data or images()
    trainer = trainer_for(model, data, root, **settings)
    trainer.fit(model, data, ckpt_path=resume)
    return trainer


def weights(module: nn.Module) -> dict[str, Tensor]:
    """Returns a copy of a module's parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def assert_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    """Checks that all values are bit-identical."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def assert_close(ours: dict[str, Tensor], theirs: dict[str, Tensor], atol: float) -> None:
    """Checks that all values are equal up to rounding."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=atol, rtol=0, msg=name)
