from __future__ import annotations

from torch import Tensor

from ganforge.errors import require
from ganforge.regularizers.context import UpdateContext
from ganforge.regularizers.latent_consistency import step
from ganforge.regularizers.regularizer import Regularizer


class LatentDiversity(Regularizer):
    """-E[(G(z) - G(z + e))^2]: neighbors in the latent space should give different images.

    The generator's part of zCR, Zhao et al. 2021, arXiv:2002.04724, e ~ N(0, sigma^2 I). The square
    is averaged over the values of an image, so that ``weight`` is independent of the image size.
    The discriminator's part is :class:`~ganforge.regularizers.LatentConsistency`.

    Args:
        weight: the paper's lambda_gen.
        every: apply at every n-th update of the generator, n times as strongly.
        sigma: standard deviation of the step in the latent space, above 0.
        precision: see Regularizer.
    """

    second_order = False
    player = "generator"
    of_latents = True

    def __init__(
        self,
        weight: float = 0.5,
        every: int = 1,
        sigma: float = 0.03,
        precision: str = "float32",
    ) -> None:
        super().__init__(weight, every, precision)
        require(sigma > 0, f"LatentDiversity: sigma must be above 0, got {sigma}")
        self.sigma = sigma

    def term(self, context: UpdateContext) -> Tensor:
        """Returns the negative mean squared difference of images, a scalar of at most 0."""
        neighbors = context.generate(step(context.latents, context.noise, self.sigma))
        return -(context.fake_images - neighbors).square().mean()
