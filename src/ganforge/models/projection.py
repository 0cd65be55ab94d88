from __future__ import annotations

from ganforge.models.engine.checks import mismatch, refuse_unconditional
from ganforge.models.gan import GAN
from ganforge.networks.contract import contract_of


class ProjectionGAN(GAN):
    """Conditional GAN with projection discriminator (Miyato & Koyama 2018, arXiv:1802.05637).

    The logit of image x of class y is  w . f(x) + b + v_y . f(x), the form of the optimal
    discriminator's log density ratio when p(y|x) is log-linear. In the paper the generator gets the
    class through conditional normalization (gains and biases per class).
    """

    needs = frozenset({"labels"})

    def check(self) -> None:
        """Raises ConfigError if D has no projection or G is unconditional."""
        condition = contract_of(self.discriminator).conditioning
        if condition != "projection":
            raise mismatch(
                "projection",
                f"the discriminator's conditioning is {condition}, not projection",
                "condition=projection, or model=cgan",
            )
        refuse_unconditional("projection", self.generator, "generator", "condition=projection")
