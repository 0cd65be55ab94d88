"""Trains the same models in one process and in two that share each batch."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ganforge.augment.ada import ADA
from ganforge.compute.launch import Launch
from ganforge.compute.rank_zero import free_port
from ganforge.losses.relativistic import RelativisticLoss
from ganforge.models.engine import processes
from ganforge.models.engine.exchange import GradientExchange
from ganforge.models.engine.processes import Agreement
from ganforge.models.engine.progressive import Growth
from ganforge.models.gan import GAN
from ganforge.networks.layers.synchronized import synchronize_batch_norm
from ganforge.regularizers.consistency import BalancedConsistency
from ganforge.regularizers.gradient_penalty import GradientPenalty
from ganforge.regularizers.latent_diversity import LatentDiversity
from ganforge.regularizers.lecam import LeCam
from ganforge.regularizers.zero_centered import R1
from tests.support import games, growing, styled, translations
from tests.support.forking import fork, wait
from tests.support.trainings import redirect_output

CRITIC_STEPS = (1, 3)
TERMS = ("none", "gradient_penalty", "r1")


def cases() -> dict[str, dict[str, Any]]:
    """Returns the settings of each case by name."""
    terms = {"none": {}, "gradient_penalty": {"gp": GradientPenalty()}, "r1": {"r1": R1(2.0)}}
    found: dict[str, dict[str, Any]] = {
        f"{steps} {name}": {"critic_steps": steps, "regularizers": terms[name]}
        for steps in CRITIC_STEPS
        for name in TERMS
    }
    found["accumulated"] = {**found["3 gradient_penalty"], "accumulate": 2}
    found["accumulated relativistic"] = {"loss": RelativisticLoss(), "accumulate": 2}
    found["clipped"] = {**found["1 r1"], "clip_norm": 0.02}
    found["lazy"] = {"critic_steps": 3, "regularizers": {"r1": R1(2.0, every=4)}}
    found["convolutional"] = {"size": 16, "regularizers": terms["gradient_penalty"]}
    adaptive = {"augment": ADA(0.5, speed=100, every=2), "critic_steps": 3, "accumulate": 2}
    kept = {
        "bcr": BalancedConsistency(weight=1.0),
        "zcr": LatentDiversity(),
        "lecam": LeCam(decay=0.5),
    }
    found["adaptive"] = {**adaptive, "regularizers": kept}
    found["pix2pix"] = {"regularizers": terms["r1"], "critic_steps": 2}
    found["cyclegan"] = {"pool_size": 5}  # filled in the second step
    found["pggan"] = {}
    found["stylegan2"] = {}  # with W's mean, lazy R1 and path lengths
    found["batch norm"] = {"size": 16, "norm": "batch"}
    found["synchronized batch norm"] = {"size": 16, "norm": "batch", "regularizers": terms["r1"]}
    found["not synchronized"] = {}
    return found


def play(name: str, changes: dict[str, Any], root: Path, devices: int) -> dict[str, Any]:
    """Trains three steps and returns weights and logged values."""

    class Raw(GAN):
        def on_train_start(self):
            super().on_train_start()
            self.processes.open = self.processes.close = lambda player: None

    size, norm = changes.pop("size", 8), changes.pop("norm", "none")
    # Cycle gradients are large: higher learning rates would amplify rounding within three steps.
    sgd = partial(torch.optim.SGD, lr=0.002 if name == "cyclegan" else 0.05)
    changes |= {"generator_optimizer": sgd, "discriminator_optimizer": sgd}
    model: Any
    data: Any = games.images(size)
    if name == "pix2pix":
        model, data = translations.pix2pix(**changes), translations.TinyPairs()
    elif name == "pggan":  # steps at 4x4, mid-fade and 8x8; batch size 8, then 4
        growth = Growth(16, stable_images=4, fade_images=8, batch_sizes=[8, 4])
        changes |= growing.players(minibatch_stddev=0)
        model, data = growing.game(growth, **changes), games.images(16)
    elif name == "stylegan2":
        players = styled.players(minibatch_stddev=0)
        model, data = styled.lazy(**players, **changes), games.images(16)
    elif name == "cyclegan":
        model, data = translations.cyclegan(**changes), translations.TinyDomains()
    else:
        networks = games.players() if size == 8 else games.convolutional_players(norm)
        kind = Raw if name == "not synchronized" else GAN
        model = games.game(kind, **networks, **changes)
    if name == "synchronized batch norm" and devices > 1:
        for network in model.players.values():
            synchronize_batch_norm(network)
    points = games.Points()
    settings = {"devices": devices, "max_steps": 3, "strategy": "ddp" if devices > 1 else "auto"}
    trainer = games.fit(model, root, data, logger=points, **settings)
    return {
        "weights": games.weights(model),
        "samples": {"sample": model.sample(3)} if name == "batch norm" else {},
        "points": [values for _, values in points.points],
        "steps": trainer.global_step,
        "images_seen": model.images_seen,
    }


def agree(last: bool) -> dict[str, list[int]]:
    """Returns the numbers agreed on in four steps; the last process proposes a signal in one."""
    agreement = Agreement()
    agreement.start()
    agreed: dict[str, list[int]] = {"signal": [], "stop": []}
    for step in range(4):
        agreement.propose("signal", 15 if last and step == 1 else 0)
        agreement.propose("stop", 1)
        agreed["signal"].append(agreement.on("signal"))
        agreed["stop"].append(agreement.on("stop"))
        agreement.end_step()
    agreement.end()
    return agreed


def play_all(folder: Path, devices: int, rank: int, port: int = 0) -> None:
    """Trains every case in this process, one of ``devices`` processes."""
    signal.alarm(200)
    torch.set_num_threads(1)
    # So that small models have several buckets, sent while the backward pass runs.
    processes.GradientExchange = partial(GradientExchange, bucket_bytes=512)  # type: ignore[misc]
    if devices > 1:
        launch = Launch("ganforge", 0, 1, rank, devices, "127.0.0.1", port)
        os.environ |= launch.environment()
    played = {name: play(name, changes, folder, devices) for name, changes in cases().items()}
    played["agreement"] = agree(last=rank == devices - 1)
    torch.save(played, folder / f"{devices}-{rank}.pt")


def main(folder: Path) -> None:
    """Trains in one process, then in two."""
    signal.alarm(300)
    redirect_output(folder / "log")
    port = free_port()
    ranks = [fork(lambda rank=rank: play_all(folder, 2, rank, port)) for rank in (0, 1)]
    alone = fork(lambda: play_all(folder, 1, 0))
    assert [wait(process) for process in [*ranks, alone]] == [0, 0, 0]
