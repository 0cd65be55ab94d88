"""A hand-written DCGAN training loop, as in the tutorials: the reference of other benchmarks.

Plain PyTorch with the project's networks, without Trainer, callbacks or moving average. The data
are in memory and batched by indexing, so that loading does not slow the loop down.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from ganforge.networks.dcgan import DCGANDiscriminator, DCGANGenerator


class HandwrittenDCGAN:
    """Adam 2e-4, betas (0.5, 0.999), batch 64: Radford et al. 2015, arXiv:1511.06434."""

    def __init__(
        self,
        images: Tensor,
        batch_size: int = 64,
        width: int = 64,
        learning_rate: float = 2e-4,
        bf16: bool = False,
        fresh_fakes: bool = False,
        seed: int = 0,
    ) -> None:
        """Builds networks and optimizers for training images, uint8 [N, C, H, W].

        ``fresh_fakes`` draws new fakes for the generator's update (Goodfellow's Algorithm 1).
        Without it the fakes of the discriminator's update are reused, as in tutorials; faster.
        """
        torch.manual_seed(seed)
        size, channels = images.shape[-1], images.shape[1]
        self.generator = DCGANGenerator(image_size=size, channels=channels, width=width)
        self.discriminator = DCGANDiscriminator(image_size=size, channels=channels, width=width)
        self.images = images
        self.batch_size = batch_size
        self.bf16 = bf16
        self.fresh_fakes = fresh_fakes
        self.images_seen = 0
        self.batches = self._batches()
        if bf16:
            self.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        betas = (0.5, 0.999)
        self.generator_optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=learning_rate, betas=betas, fused=bf16
        )
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), lr=learning_rate, betas=betas, fused=bf16
        )

    def step(self) -> tuple[Tensor, Tensor]:
        """Updates each player once; returns the losses of discriminator and generator."""
        real = next(self.batches)
        ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
        with self._autocast():
            fake = self.generator(torch.randn(len(real), self.generator.latent_dim))
            discriminator_loss = cross_entropy(self.discriminator(real).float(), ones)
            discriminator_loss += cross_entropy(self.discriminator(fake.detach()).float(), zeros)
        self.discriminator_optimizer.zero_grad()
        discriminator_loss.backward()
        self.discriminator_optimizer.step()
        self.discriminator.requires_grad_(False)
        with self._autocast():
            if self.fresh_fakes:
                fake = self.generator(torch.randn(len(real), self.generator.latent_dim))
            generator_loss = cross_entropy(self.discriminator(fake).float(), ones)
        self.generator_optimizer.zero_grad()
        generator_loss.backward()
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)
        self.images_seen += len(real)
        return discriminator_loss.detach(), generator_loss.detach()

    @torch.no_grad()
    def sample(self, n: int, start: int) -> Tensor:
        """Returns images start ... start + n - 1 of a fixed sequence, [n, C, H, W] in [-1, 1]."""
        self.generator.eval()
        noise = torch.Generator().manual_seed(start + 1)
        images = self.generator(torch.randn(n, self.generator.latent_dim, generator=noise))
        self.generator.train()
        return images

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if not self.bf16:
            return contextlib.nullcontext()
        return torch.autocast("cpu", dtype=torch.bfloat16)

    def _batches(self) -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(self.images))
            for start in range(0, len(order) - self.batch_size + 1, self.batch_size):
                batch = self.images[order[start : start + self.batch_size]]
                batch = batch.float().div(127.5).sub(1)
                yield batch.contiguous(memory_format=torch.channels_last) if self.bf16 else batch
