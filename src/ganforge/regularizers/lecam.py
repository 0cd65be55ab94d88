from __future__ import annotations

import torch
from torch import Tensor, distributed

from ganforge.errors import require
from ganforge.networks.layers.synchronized import several
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer


class LeCam(Regularizer):
    """E[(D(x) - a_F)^2] + E[(D(G(z)) - a_R)^2]: pulls logits to the mean of the other class.

    Tseng et al. 2021, arXiv:2104.03310. The anchors a_R and a_F are moving averages of the mean
    logit at reals and at fakes, without gradient. It helps on small data sets. With the Wasserstein
    loss, D then minimizes a LeCam divergence, hence the name.

    The anchors are updated once per update of D with the mean over all parts and processes, so they
    are the same on all processes. Until ``start_images`` they equal the latest means and there is
    no penalty. The first step never has a penalty.

    Args:
        weight: the paper's lambda.
        every: apply at every n-th update of the discriminator, n times as strongly; the anchors
            move at those updates.
        decay: weight of the old anchor in each update, at least 0 and below 1.
        start_images: real images seen before the penalty starts.
    """

    second_order = False

    anchors: Tensor  # [2]: a_R and a_F

    def __init__(
        self, weight: float = 0.3, every: int = 1, decay: float = 0.99, start_images: int = 0
    ) -> None:
        super().__init__(weight, every)
        require(0 <= decay < 1, f"LeCam: decay must be in [0, 1), got {decay}")
        require(start_images >= 0, f"LeCam: start_images must be at least 0, got {start_images}")
        self.decay = decay
        self.start_images = start_images
        self.register_buffer("anchors", torch.zeros(2))
        self._means: Tensor | None = None  # mean logits of the current update
        self._kept = 0.0  # weight of the old anchors in this update

    def term(self, context: UpdateContext) -> Tensor | None:
        """Returns the squared distances to the anchors, a scalar; None before it starts."""
        real, fake = context.real_logits, context.fake_logits
        if real is None:
            real = context.critic(context.real)
        started = self.phase(context.images_seen)
        share = context.noise.rows / context.noise.batch_rows
        means = share * torch.stack([real.detach().mean(), fake.detach().mean()])
        self._means = means if self._means is None else self._means + means
        self._kept = self.decay if started else 0.0
        if not started:
            return None
        return (real - self.anchors[1]).square().mean() + (fake - self.anchors[0]).square().mean()

    def phase(self, images_seen: int) -> bool:
        """Returns whether the penalty has started."""
        return images_seen >= max(self.start_images, 1)

    @torch.no_grad()
    def settle(self) -> None:
        """Updates the anchors after the backward passes of the discriminator's update."""
        if self._means is None:
            return
        means, self._means = self._means, None
        if several():
            distributed.all_reduce(means)
            means /= distributed.get_world_size()
        self.anchors.copy_(torch.lerp(means, self.anchors, self._kept))

    def discard(self) -> None:
        """Drops the means of an unfinished update."""
        self._means = None
