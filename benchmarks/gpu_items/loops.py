"""A hand-written loop over the same networks: eager, as a CUDA graph, and compiled."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from gpu_recipes import RECIPES
from torch import Tensor, nn
from torch.nn import functional as F

import ganforge
from ganforge.networks.contract import contract_of
from ganforge.runs.load import build_model
from gpu_items.journal import Facts, Job
from gpu_items.trainings import WINDOW

Mode = Literal["eager", "graph", "compiled"]
NULL = {
    "eager": "",
    "graph": "the null GPU has no CUDA graphs",
    "compiled": "the null GPU has no compiler of kernels",
}


def by_hand(seconds: float) -> list[Job]:
    """Returns a job for each recipe and mode; the compiled one takes the longest."""
    modes: list[tuple[str, Mode]] = [
        ("dcgan digits 32", "eager"),
        ("celeba/dcgan", "eager"),
        ("dcgan digits 32", "graph"),
        ("celeba/dcgan", "graph"),
        ("dcgan digits 32", "compiled"),
    ]
    return [
        Job(f"{name}: {mode}", partial(_timed, name, mode, seconds), NULL[mode])
        for name, mode in modes
    ]


class BareGAN:
    """A non-saturating GAN in bf16, channels_last, with fused Adam: the least that a step needs.

    No data loading, augmentation, moving average, log or check: what the engine does in addition is
    its overhead.

    Args:
        name: a recipe with unconditional networks.
        mode: how the step is run.
    """

    def __init__(self, name: str, mode: Mode) -> None:
        model = build_model(ganforge.compose_config([*RECIPES[name].overrides]))
        model = model.cuda().to(memory_format=torch.channels_last).train()
        self.generator, self.discriminator = model.generator, model.discriminator
        self.mode = mode
        self.batch = RECIPES[name].images
        self.latent_dim = contract_of(self.generator).latent_dim
        built = contract_of(self.discriminator)
        side = built.image_size
        reals = torch.randn(self.batch, built.channels, side, side, device="cuda")
        self.reals = reals.contiguous(memory_format=torch.channels_last)
        self.optimizers = [
            torch.optim.Adam(
                network.parameters(), 2e-4, (0.5, 0.999), fused=True, capturable=mode == "graph"
            )
            for network in (self.generator, self.discriminator)
        ]
        compiled = torch.compile if mode == "compiled" else _same
        self.generate, self.judge = compiled(self.generator), compiled(self.discriminator)

    def step(self) -> None:
        """Updates the discriminator and then the generator."""
        self._freeze(self.generator)
        with self._autocast():
            fakes, reals = self.judge(self._fakes()).float(), self.judge(self.reals).float()
            loss = F.softplus(-reals).mean() + F.softplus(fakes).mean()
        self._descend(1, loss)
        self._freeze(self.discriminator)
        with self._autocast():
            loss = F.softplus(-self.judge(self._fakes()).float()).mean()
        self._descend(0, loss)

    def captured(self) -> Callable[[], None]:
        """Returns the step as a CUDA graph, after a warm-up on another stream."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        return graph.replay

    def _fakes(self) -> Tensor:
        return self.generate(torch.randn(self.batch, self.latent_dim, device="cuda"))

    def _autocast(self) -> torch.autocast:
        # A cache of casts would outlive the graph that it was captured in.
        return torch.autocast("cuda", torch.bfloat16, cache_enabled=self.mode != "graph")

    def _freeze(self, frozen: nn.Module) -> None:
        for network in (self.generator, self.discriminator):
            network.requires_grad_(network is not frozen)

    def _descend(self, index: int, loss: Tensor) -> None:
        self.optimizers[index].zero_grad()
        loss.backward()
        self.optimizers[index].step()


def _same(network: nn.Module) -> nn.Module:
    return network


def _timed(name: str, mode: Mode, seconds: float) -> Facts:
    """Returns the median time of a step over windows of steps."""
    gan = BareGAN(name, mode)
    step = gan.captured() if mode == "graph" else gan.step
    for _ in range(WINDOW):
        step()
    times: list[float] = []
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds or len(times) < 3:
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(WINDOW):
            step()
        torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - start) / WINDOW)
    median = statistics.median(times)
    return {"ms": round(median, 3), "images_per_s": round(1000 * gan.batch / median, 1)}
