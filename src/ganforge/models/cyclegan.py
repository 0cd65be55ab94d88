from __future__ import annotations

from typing import Any, Unpack, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError
from ganforge.models.engine.batches import Batch
from ganforge.models.engine.image_pool import ImagePool
from ganforge.models.parts import TranslationParts
from ganforge.models.translation import OPPOSITE, TranslationGame
from ganforge.streams import Noise, Stream, mix


class CycleGAN(TranslationGame):
    """Image-to-image translation without pairs: Zhu et al. 2017, arXiv:1703.10593.

    Two generators G: X -> Y and F: Y -> X, and a judge for each domain:

        L(G, F, D_X, D_Y) = L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda L_cyc(G, F)
        L_cyc(G, F) = E |F(G(x)) - x|_1 + E |G(F(y)) - y|_1

    The identity term of the paper's section 5.2, E |G(y) - y|_1 + E |F(x) - x|_1, keeps colours.

    The generator holds both networks: ``forth`` maps inputs to targets, ``back`` the other way. The
    discriminator holds both judges, ``target`` and ``input``.

    Args:
        adversarial_weight: factor of the generators' adversarial losses.
        discriminator_weight: factor of the discriminators' losses.
        input_cycle_weight: lambda of E |F(G(x)) - x|_1.
        target_cycle_weight: lambda of E |G(F(y)) - y|_1.
        identity_weight: of the identity terms, as a share of lambda; 0 for none.
        pool_size: generated images of each domain that the judges are shown again.
        **parts: see TranslationGame.
    """

    def __init__(
        self,
        *,
        adversarial_weight: float = 2.0,
        discriminator_weight: float = 1.0,
        input_cycle_weight: float = 10.0,
        target_cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        **parts: Unpack[TranslationParts],
    ) -> None:
        super().__init__(
            adversarial_weight=adversarial_weight,
            discriminator_weight=discriminator_weight,
            **parts,
        )
        self.cycle_weights = {"input": input_cycle_weight, "target": target_cycle_weight}
        self.identity_weight = identity_weight
        self.directions = (*self.directions, OPPOSITE[self.directions[0]])
        self.pools = {"target": ImagePool(pool_size), "input": ImagePool(pool_size)}
        self._check_weights()

    def check(self) -> None:
        """Refuses players that are not of two networks each."""
        players = ((self.generator, ("forth", "back")), (self.discriminator, ("target", "input")))
        for part, names in players:
            if not all(hasattr(part, name) for name in names):
                raise ConfigError(
                    f"model=cyclegan needs two networks for each player, {' and '.join(names)}; "
                    f"{type(part).__name__} has not both. Take network=cyclegan"
                )

    def judges(self) -> dict[str, nn.Module]:
        """Returns D_Y, of targets, and D_X, of inputs."""
        judges = cast(Any, self.discriminator)
        return {"target": judges.target, "input": judges.input}

    def makers(self) -> dict[str, nn.Module]:
        """Returns G, which makes targets, and F, which makes inputs."""
        generators = cast(Any, self.generator)
        return {"target": generators.forth, "input": generators.back}

    def halves(self, domain: str) -> list[int]:
        """Returns the channels of a domain's images."""
        return [cast(int, self.makers()[domain].out_channels)]

    def way(self, generator: nn.Module, index: int) -> nn.Module:
        """Returns G or F."""
        return cast(nn.Module, (generator.forth, generator.back)[index])

    def fakes(self, batch: Batch) -> Batch:
        """Returns ``fake_target`` G(x) and ``fake_input`` F(y)."""
        makers = self.makers()
        return {
            "fake_target": makers["target"](batch["input"]),
            "fake_input": makers["input"](batch["image"]),
        }

    def shown(self, fakes: Batch) -> Batch:
        """Returns what the pools give for the fakes: new images and old ones."""
        return {f"fake_{name}": self._pooled(name, fakes[f"fake_{name}"]) for name in self.pools}

    def generator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda L_cyc(G, F), and the identity terms."""
        fakes = self.fakes(batch)
        self.keep(fakes)
        real = {"input": batch["input"], "target": batch["image"]}
        # The way back from each domain's fakes leads into the other domain.
        makers = self.makers()
        loss = self._identity(real)
        for domain, other in (("target", "input"), ("input", "target")):
            fake = fakes[f"fake_{domain}"]
            loss = loss + self.deceive(domain, real[domain], fake.float(), batch, noise)
            cycle = F.l1_loss(makers[other](fake).float(), real[other])
            self.observe(f"generator/{other}_cycle", cycle)
            loss = loss + self.cycle_weights[other] * cycle
        return loss

    def discriminator_loss(self, batch: Batch, noise: Noise) -> Tensor:
        """Returns what D_X and D_Y minimise together; no weight of one is in the other's loss."""
        target = self.tell_apart("target", batch["image"], batch["fake_target"], batch, noise)
        return target + self.tell_apart("input", batch["input"], batch["fake_input"], batch, noise)

    @torch.no_grad()
    def cycle(self, inputs: Tensor, direction: str | None = None, weights: str = "ema") -> Tensor:
        """Returns images [n, C, H, W] translated in ``direction`` and back, in [-1, 1]."""
        direction = direction or self.directions[0]
        weight = cast(Any, weights)
        there = self.translate(inputs, direction, weight)
        return self.translate(there, OPPOSITE[direction], weight)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the pools, which all processes have alike."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["pools"] = {name: pool.state() for name, pool in self.pools.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the pools."""
        super().on_load_checkpoint(checkpoint)
        for name, pool in self.pools.items():
            pool.restore(checkpoint["pools"][name], self.device)

    def _identity(self, real: Batch) -> Tensor:
        total = torch.zeros((), device=self.device)
        if self.identity_weight == 0:
            return total
        for domain, maker in self.makers().items():
            distance = F.l1_loss(maker(real[domain]).float(), real[domain])
            self.observe(f"generator/{domain}_identity", distance)
            total = total + self.identity_weight * self.cycle_weights[domain] * distance
        return total

    def _pooled(self, domain: str, fakes: Tensor) -> Tensor:
        """Asks a pool that is about the images of all processes, so that all have the same."""
        pool = self.pools[domain]
        world, rank = self._world, int(self.trainer.global_rank)
        if world > 1:
            # Row j of the global batch is at rank j % world, as everywhere.
            gathered = cast(Tensor, self.all_gather(fakes))
            fakes = gathered.transpose(0, 1).flatten(0, 1)
        key = mix(self.seed, Stream.POOLS, int(domain == "target"), self._updates["discriminator"])
        return pool.query(fakes, Noise(key, len(fakes)))[rank::world]

    def _check_weights(self) -> None:
        weights = {"input_cycle": self.cycle_weights["input"]}
        weights |= {"target_cycle": self.cycle_weights["target"], "identity": self.identity_weight}
        for name, weight in weights.items():
            if weight < 0:
                raise ConfigError(f"model.{name}_weight must be at least 0, got {weight}")
        forth = self.makers()["target"]
        if self.identity_weight > 0 and forth.in_channels != forth.out_channels:
            raise ConfigError(
                f"model.identity_weight={self.identity_weight}: a target of {forth.out_channels} "
                f"channels is no input of {forth.in_channels}. Take model.identity_weight=0"
            )
