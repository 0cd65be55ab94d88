from __future__ import annotations

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.regularizer import Regularizer


class FeatureMatching(Regularizer):
    """|E f(x) - E f(G(z))|^2: matches the mean discriminator features of fake and real images.

    Salimans et al. 2016, arXiv:1606.03498, section 3.1; f are D's last features. In the paper it
    replaces the generator's loss, here it is added to it. Both means are over the images of one
    forward pass: those of each process, and of each part of an accumulated batch.
    """

    second_order = False
    player = "generator"

    def term(self, context: UpdateContext) -> Tensor:
        """Returns |E f(x) - E f(G(z))|^2, a scalar; no gradient flows into f(x)."""
        if not hasattr(context.discriminator, "features"):
            raise ConfigError(
                f"feature_matching: {type(context.discriminator).__name__} has no method features, "
                "from images to vectors [B, F]. Add it, or use a network of ganforge"
            )
        with torch.no_grad():
            # In the generator's update, context.real may not be augmented; do it here.
            real = context.features(context.augment(context.real_images))
        fake = context.features(context.fake)
        return (real.float().mean(0) - fake.float().mean(0)).square().sum()
