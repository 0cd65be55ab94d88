"""Hand-written training steps of Pix2Pix and CycleGAN, as a reference for the engine."""

from __future__ import annotations

import itertools
import random

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def adam(*networks: nn.Module) -> torch.optim.Adam:
    """Returns an Adam optimizer with the settings of both papers."""
    parameters = itertools.chain(*(network.parameters() for network in networks))
    return torch.optim.Adam(parameters, lr=2e-4, betas=(0.5, 0.999))


def require_gradients(network: nn.Module, required: bool) -> None:
    """Switches the gradients of a network's parameters on or off."""
    for parameter in network.parameters():
        parameter.requires_grad_(required)


class HandwrittenPix2Pix:
    """The step of Isola et al. 2017, arXiv:1611.07004: D, then G, on the same output."""

    def __init__(self, generator: nn.Module, critic: nn.Module, x: Tensor, y: Tensor) -> None:
        self.generator, self.critic, self.x, self.y = generator, critic, x, y
        self.adam_g, self.adam_d = adam(generator), adam(critic)

    def step(self) -> None:
        """Updates both players once."""
        x, y = self.x, self.y
        fake = self.generator(x)
        require_gradients(self.critic, True)
        self.adam_d.zero_grad()
        for_fake = self.critic(torch.cat([x, fake.detach()], 1))
        for_real = self.critic(torch.cat([x, y], 1))
        loss = 0.5 * (F.softplus(for_fake).mean() + F.softplus(-for_real).mean())
        loss.backward()
        self.adam_d.step()
        require_gradients(self.critic, False)
        self.adam_g.zero_grad()
        loss = F.softplus(-self.critic(torch.cat([x, fake], 1))).mean()
        (loss + 100 * F.l1_loss(fake, y)).backward()
        self.adam_g.step()


class HandwrittenCycleGAN:
    """The step of Zhu et al. 2017, arXiv:1703.10593: both generators, then both critics."""

    def __init__(self, generators: nn.Module, critics: nn.Module, x: Tensor, y: Tensor) -> None:
        self.g, self.f = generators.forth, generators.back
        self.d_y, self.d_x = critics.target, critics.input
        self.generators, self.critics, self.x, self.y = generators, critics, x, y
        self.adam_g, self.adam_d = adam(generators), adam(critics)
        self.pools: dict[nn.Module, list[Tensor]] = {self.d_x: [], self.d_y: []}

    def step(self) -> None:
        """Updates both players once."""
        x, y = self.x, self.y
        require_gradients(self.critics, False)
        self.adam_g.zero_grad()
        fake_y, fake_x = self.g(x), self.f(y)
        loss = 10 * (F.l1_loss(self.f(fake_y), x) + F.l1_loss(self.g(fake_x), y))
        loss = loss + 5 * (F.l1_loss(self.g(y), y) + F.l1_loss(self.f(x), x))
        loss = (
            loss + (self.d_y(fake_y) - 1).square().mean() + (self.d_x(fake_x) - 1).square().mean()
        )
        loss.backward()
        self.adam_g.step()
        require_gradients(self.critics, True)
        self.adam_d.zero_grad()
        for critic, real, fake in ((self.d_y, y, fake_y), (self.d_x, x, fake_x)):
            pooled_fakes = self.pooled(critic, fake.detach())
            loss = (critic(real) - 1).square().mean() + critic(pooled_fakes).square().mean()
            (loss / 2).backward()
        self.adam_d.step()

    def pooled(self, critic: nn.Module, fakes: Tensor) -> Tensor:
        """Returns new images or earlier ones from a pool of 50."""
        pool, pooled_fakes = self.pools[critic], []
        for fake in fakes:
            if len(pool) < 50:
                pool.append(fake)
                pooled_fakes.append(fake)
            elif random.random() < 0.5:
                place = random.randrange(50)
                pooled_fakes.append(pool[place])
                pool[place] = fake
            else:
                pooled_fakes.append(fake)
        return torch.stack(pooled_fakes)
