from __future__ import annotations

import torch
from torch import Tensor, distributed, nn

from ganforge.errors import ConfigError
from ganforge.regularizers.context import Turn
from ganforge.regularizers.regularizer import Regularizer


class LeCam(Regularizer):
    """E[(D(x) - a_F)^2] + E[(D(G(z)) - a_R)^2]: reals and fakes keep near the other side's mean.

    Tseng et al. 2021, arXiv:2104.03310. The anchors a_R and a_F are moving averages of the mean
    logit at reals and at fakes, without gradient. It helps where data are few. Under the
    Wasserstein loss D then minimises a LeCam divergence, hence the name.

    The anchors move once for each update of D, by the mean over all parts and processes, and are
    the same on all of them. Until ``start_images`` they are the latest means, and there is no
    penalty: there never is in the first step.

    Args:
        weight: the paper's lambda.
        every: apply at every n-th update of the discriminator, n times as strongly; the anchors
            move at those updates.
        decay: share of the old anchor that stays at each update, at least 0 and below 1.
        start_images: real images seen before the penalty starts.
    """

    anchors: Tensor  # of reals and of fakes

    def __init__(
        self, weight: float = 0.3, every: int = 1, decay: float = 0.99, start_images: int = 0
    ) -> None:
        super().__init__(weight, every)
        if not 0 <= decay < 1:
            raise ConfigError(f"LeCam: decay must be at least 0 and below 1, got {decay}")
        if start_images < 0:
            raise ConfigError(f"LeCam: start_images must be at least 0, got {start_images}")
        self.decay = decay
        self.start_images = start_images
        self.register_buffer("anchors", torch.zeros(2))
        self._means: Tensor | None = None  # of the update that is under way
        self._kept = 0.0  # share of the old anchors that it leaves

    def term(self, turn: Turn) -> Tensor | None:
        """Returns the squared distances to the anchors, a scalar; None before it starts."""
        real, fake = turn.real_logits, turn.fake_logits
        if real is None:
            real = turn.critic(turn.real)
        started = turn.images_seen >= max(self.start_images, 1)
        share = turn.noise.rows / turn.noise.batch_rows
        means = share * torch.stack([real.detach().mean(), fake.detach().mean()])
        self._means = means if self._means is None else self._means + means
        self._kept = self.decay if started else 0.0
        if not started:
            return None
        return (real - self.anchors[1]).square().mean() + (fake - self.anchors[0]).square().mean()

    def constrain(self, player: nn.Module) -> None:
        """Moves the anchors, once the discriminator is updated; its weights stay."""
        if self._means is None:
            return
        means, self._means = self._means, None
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(means)
            means /= distributed.get_world_size()
        # Into a new tensor: an autograd graph may still hold the old one.
        self.anchors = torch.lerp(means, self.anchors, self._kept)
