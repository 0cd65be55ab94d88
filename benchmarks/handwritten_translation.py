"""Pix2Pix and CycleGAN as loops written by hand over any networks, to compare the engine with."""

from __future__ import annotations

import itertools
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def adam(*networks: nn.Module) -> torch.optim.Adam:
    """Returns the papers' Adam of some networks."""
    parameters = itertools.chain(*(network.parameters() for network in networks))
    return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999))


def need_gradients(network: nn.Module, needed: bool) -> None:
    """Spares the gradients of a player that is not updated."""
    for parameter in network.parameters():
        parameter.requires_grad_(needed)


class HandwrittenPix2Pix:
    """The step of Isola et al. 2017, arXiv:1611.07004: D, then G, on the same output."""

    def __init__(self, generator: nn.Module, judge: nn.Module, x: Tensor, y: Tensor) -> None:
        self.generator, self.judge, self.x, self.y = generator, judge, x, y
        self.adam_g, self.adam_d = adam(generator), adam(judge)

    def step(self) -> None:
        """Updates both players once."""
        x, y = self.x, self.y
        fake = self.generator(x)
        need_gradients(self.judge, True)
        self.adam_d.zero_grad()
        for_fake = self.judge(torch.cat([x, fake.detach()], 1))
        for_real = self.judge(torch.cat([x, y], 1))
        loss = 0.5 * (F.softplus(for_fake).mean() + F.softplus(-for_real).mean())
        loss.backward()
        self.adam_d.step()
        need_gradients(self.judge, False)
        self.adam_g.zero_grad()
        loss = F.softplus(-self.judge(torch.cat([x, fake], 1))).mean()
        (loss + 100 * F.l1_loss(fake, y)).backward()
        self.adam_g.step()


class HandwrittenCycleGAN:
    """The step of Zhu et al. 2017, arXiv:1703.10593: both generators, then both judges."""

    def __init__(self, generators: nn.Module, judges: nn.Module, x: Tensor, y: Tensor) -> None:
        self.g, self.f = generators.forth, generators.back
        self.d_y, self.d_x = judges.target, judges.input
        self.generators, self.judges, self.x, self.y = generators, judges, x, y
        self.adam_g, self.adam_d = adam(generators), adam(judges)
        self.pools: dict[nn.Module, list[Tensor]] = {self.d_x: [], self.d_y: []}

    def step(self) -> None:
        """Updates both players once."""
        x, y = self.x, self.y
        need_gradients(self.judges, False)
        self.adam_g.zero_grad()
        fake_y, fake_x = self.g(x), self.f(y)
        loss = 10 * (F.l1_loss(self.f(fake_y), x) + F.l1_loss(self.g(fake_x), y))
        loss = loss + 5 * (F.l1_loss(self.g(y), y) + F.l1_loss(self.f(x), x))
        loss = (
            loss + (self.d_y(fake_y) - 1).square().mean() + (self.d_x(fake_x) - 1).square().mean()
        )
        loss.backward()
        self.adam_g.step()
        need_gradients(self.judges, True)
        self.adam_d.zero_grad()
        for judge, real, fake in ((self.d_y, y, fake_y), (self.d_x, x, fake_x)):
            shown = self.pooled(judge, fake.detach())
            loss = (judge(real) - 1).square().mean() + judge(shown).square().mean()
            (loss / 2).backward()
        self.adam_d.step()

    def pooled(self, judge: nn.Module, fakes: Tensor) -> Tensor:
        """Returns new images, or old ones of a history of 50."""
        pool, shown = self.pools[judge], []
        for fake in fakes:
            if len(pool) < 50:
                pool.append(fake)
                shown.append(fake)
            elif random.random() < 0.5:
                place = random.randrange(50)
                shown.append(pool[place])
                pool[place] = fake
            else:
                shown.append(fake)
        return torch.stack(shown)
