from __future__ import annotations

import math

import torch
from torch import Tensor, distributed

from ganforge.errors import require
from ganforge.networks.layers.synchronized import several
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.input_gradient import norm
from ganforge.regularizers.regularizer import Regularizer


class PathLength(Regularizer):
    """E[(|J^T y| - a)^2], y ~ N(0, I) / sqrt(HW): equal steps in z make equal changes of images.

    Karras et al. 2020, arXiv:1912.04958, section 3.2. J is the Jacobian of the generator at the
    latents of the batch, and a the running mean of the lengths |J^T y|, 0 at the start. In a
    style-based model, J is that of the synthesis network at the styles, as in the paper; with one
    style for each of L layers, |J^T y|^2 is the mean over layers, as in the authors' code. The
    lengths of an update are compared with the mean before it. The mean is updated afterwards, over
    all parts and processes, so a is the same on all processes, however the batch is distributed.

    If batch normalization mixes the images, J is that of the whole batch.

    Args:
        weight: factor of the penalty.
        every: apply at every n-th update of the generator, n times as strongly.
        decay: weight of an update's mean length in the running mean, in (0, 1].
        shrink: only every shrink-th image is used, to save memory and time. The authors use 2 with
            the mapping network's latents.
        precision: see Regularizer.
    """

    player = "generator"
    of_latents = True
    mean: Tensor

    def __init__(
        self,
        weight: float = 2.0,
        every: int = 4,
        decay: float = 0.01,
        shrink: int = 1,
        precision: str = "float32",
    ) -> None:
        super().__init__(weight, every, precision)
        require(0 < decay <= 1, f"PathLength: decay must be in (0, 1], got {decay}")
        require(shrink >= 1, f"PathLength: shrink must be at least 1, got {shrink}")
        self.decay = decay
        self.shrink = shrink
        self.register_buffer("mean", torch.zeros(()))
        self._fresh: list[Tensor] = []  # lengths of the current update, one tensor per part

    def term(self, context: UpdateContext) -> Tensor:
        """Returns E[(|J^T y| - a)^2], a scalar."""
        lengths = norm(self.slopes(context))
        self._fresh.append(lengths.detach())
        return (lengths - self.mean).square().mean()

    def slopes(self, context: UpdateContext) -> Tensor:
        """Returns J^T y, itself differentiable: [B / shrink, latent_dim].

        In a style-based model, [B / shrink, L, D], divided by sqrt(L).
        """
        labels = None if context.labels is None else context.labels[:: self.shrink]
        z = context.latents[:: self.shrink].detach().float()
        if context.styled is None or context.synthesize is None:
            start = z.requires_grad_(True)
            images = context.generate(start, labels)
        else:  # with gradient, so that the mapping network is regularized too
            start = context.styled(z, labels)
            images = context.synthesize(start)
        pixels = math.prod(images.shape[2:])
        y = context.noise.normal(*images.shape[1:])[:: self.shrink] / math.sqrt(pixels)
        (slopes,) = torch.autograd.grad((images * y).sum(), start, create_graph=True)
        return slopes / math.sqrt(math.prod(slopes.shape[1:-1]))

    @torch.no_grad()
    def settle(self) -> None:
        """Updates the running mean with the lengths of this update."""
        if not self._fresh:
            return
        lengths = torch.cat(self._fresh)
        self._fresh = []
        total = torch.stack([lengths.sum(), lengths.new_full((), len(lengths))])
        # All processes reach this collective after the same updates, so it cannot deadlock.
        if several():
            distributed.all_reduce(total)
        self.mean.lerp_(total[0] / total[1], self.decay)

    def discard(self) -> None:
        """Drops the lengths of an unfinished update."""
        self._fresh = []
