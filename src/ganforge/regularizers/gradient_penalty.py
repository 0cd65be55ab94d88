from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ganforge.errors import ConfigError, require
from ganforge.regularizers.context import Critic
from ganforge.regularizers.input_gradient import input_gradient, norm
from ganforge.regularizers.regularizer import Regularizer
from ganforge.regularizers.weight_clip import NEXT_TO_A_PENALTY, WeightClip
from ganforge.streams import Noise


class GradientPenalty(Regularizer):
    """E[(|grad D(y)| - target)^2] at interpolations y of real and generated images.

    Gulrajani et al. 2017, arXiv:1704.00028: two-sided, y = alpha x + (1 - alpha) G(z) with one
    alpha ~ U[0, 1) for each pair.

    Args:
        weight: the paper's lambda.
        every: apply at every n-th update of the discriminator, n times as strongly.
        target: target of the gradient's norm, above 0.
        precision: see Regularizer.
    """

    conflicts = {WeightClip: NEXT_TO_A_PENALTY}

    def __init__(
        self,
        weight: float = 10.0,
        every: int = 1,
        target: float = 1.0,
        precision: str = "float32",
    ) -> None:
        super().__init__(weight, every, precision)
        require(target > 0, f"GradientPenalty: target must be above 0, got {target}")
        self.target = target

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor, noise: Noise) -> Tensor:
        """Returns E[(|grad D(y)| - target)^2], a scalar, for data [B, ...] of any shape."""
        packing = noise.rows // len(real)  # noise has one row per image, even if they are packed
        alpha = noise.uniform(*(1,) * (real.ndim - 1))[::packing].to(real)
        between = torch.lerp(fake, real, alpha)
        return (norm(input_gradient(critic, between)) - self.target).square().mean()

    def check(self, player: nn.Module) -> None:
        """Raises ConfigError if ``player`` has batch normalization."""
        for name, module in player.named_modules():
            if isinstance(module, _BatchNorm):
                raise ConfigError(
                    f"gradient_penalty: the discriminator has {type(module).__name__} ({name}), "
                    "which makes an image's logit depend on the whole batch, but the penalty needs "
                    "each image's own gradient. Use network=dcgan_layer_norm or "
                    "network.discriminator.norm=layer (or instance, none)"
                )
