from __future__ import annotations

from typing import Any, Unpack, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ConfigError, require
from ganforge.models.engine.checks import check_weights
from ganforge.models.engine.update import Batch, Update, Weights
from ganforge.models.parts import TranslationParts
from ganforge.models.translation import OPPOSITE, TranslationModel, detached
from ganforge.streams import Noise, Stream, mix


class CycleGAN(TranslationModel):
    """CycleGAN: unpaired image-to-image translation (Zhu et al. 2017, arXiv:1703.10593).

    Two generators G: X -> Y and F: Y -> X, and a discriminator for each domain:

        L(G, F, D_X, D_Y) = L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda L_cyc(G, F)
        L_cyc(G, F) = E |F(G(x)) - x|_1 + E |G(F(y)) - y|_1

    The identity term of the paper's section 5.2, E |G(y) - y|_1 + E |F(x) - x|_1, preserves
    colors.

    The generator holds both networks: ``forth`` maps inputs to targets, ``back`` maps targets to
    inputs. The discriminator holds one network for each domain, ``target`` and ``input``.

    Args:
        adversarial_weight: factor of the generators' adversarial losses.
        discriminator_weight: factor of the discriminators' losses.
        input_cycle_weight: lambda of E |F(G(x)) - x|_1.
        target_cycle_weight: lambda of E |G(F(y)) - y|_1.
        identity_weight: weight of the identity terms, as a fraction of lambda; 0 disables them.
        pool_size: size of the image pool (history of generated images) of each domain.
        **parts: see TranslationModel.
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
        check_weights(
            input_cycle_weight=input_cycle_weight,
            target_cycle_weight=target_cycle_weight,
            identity_weight=identity_weight,
        )
        forth = self.generators()["target"]
        if identity_weight > 0 and forth.in_channels != forth.out_channels:
            raise ConfigError(
                f"model.identity_weight={identity_weight}: the identity terms need inputs and "
                f"targets of equal channels, got {forth.in_channels} and {forth.out_channels}. Use "
                "model.identity_weight=0"
            )

    def check(self) -> None:
        """Raises ConfigError if a player does not consist of two networks."""
        players = ((self.generator, ("forth", "back")), (self.discriminator, ("target", "input")))
        for part, names in players:
            require(
                all(hasattr(part, name) for name in names),
                f"model=cyclegan needs two networks for each player, {' and '.join(names)}; "
                f"{type(part).__name__} does not have both. Use network=cyclegan",
            )

    def discriminators(self) -> dict[str, nn.Module]:
        """Returns the discriminators: D_Y of targets and D_X of inputs."""
        return {name: self.discriminator.get_submodule(name) for name in ("target", "input")}

    def generators(self) -> dict[str, nn.Module]:
        """Returns the generators: G of targets and F of inputs."""
        names = {"target": "forth", "input": "back"}
        return {domain: self.generator.get_submodule(name) for domain, name in names.items()}

    def channels(self, domain: str) -> tuple[int, ...]:
        """Returns the channels of a domain's images."""
        return (cast(int, self.generators()[domain].out_channels),)

    def way(self, generator: nn.Module, index: int) -> nn.Module:
        """Returns G for index 0 and F for index 1."""
        return cast(nn.Module, (generator.forth, generator.back)[index])

    def fakes(self, batch: Batch) -> Batch:
        """Returns ``fake_target`` G(x) and ``fake_input`` F(y)."""
        generators = self.generators()
        return {
            "fake_target": generators["target"](batch["input"]),
            "fake_input": generators["input"](batch["image"]),
        }

    def critic_fakes(self, fakes: Batch) -> Batch:
        """Returns the fakes after the image pools, which replace some of them by earlier ones."""
        return {f"fake_{name}": self._pooled(name, fakes[f"fake_{name}"]) for name in self.pools}

    def generator_loss(self, update: Update) -> Tensor:
        """Returns L_GAN(G, D_Y) + L_GAN(F, D_X) + lambda L_cyc(G, F) plus the identity terms."""
        fakes = self.fakes(update.batch)
        update.kept.update(detached(fakes))
        real = {"input": update.batch["input"], "target": update.batch["image"]}
        # The generator of the other domain reconstructs the originals from this domain's fakes.
        generators = self.generators()
        loss = self._identity(update, real)
        for domain, other in (("target", "input"), ("input", "target")):
            fake = fakes[f"fake_{domain}"]
            loss = loss + self.adversarial_generator_loss(
                update, domain, real[domain], fake.float()
            )
            cycle = F.l1_loss(generators[other](fake).float(), real[other])
            update.observe(f"generator/{other}_cycle", cycle)
            loss = loss + self.cycle_weights[other] * cycle
        return loss

    def discriminator_loss(self, update: Update) -> Tensor:
        """Returns the sum of the losses of D_Y and D_X; they share no weights."""
        batch = update.batch
        real = {"target": batch["image"], "input": batch["input"]}
        losses = [
            self.adversarial_discriminator_loss(update, name, real[name], batch[f"fake_{name}"])
            for name in real
        ]
        return losses[0] + losses[1]

    @torch.no_grad()
    def cycle(
        self, inputs: Tensor, direction: str | None = None, weights: Weights = "ema"
    ) -> Tensor:
        """Returns images [n, C, H, W] translated in ``direction`` and back, in [-1, 1]."""
        direction = direction or self.directions[0]
        translated = self.translate(inputs, direction, weights)
        return self.translate(translated, OPPOSITE[direction], weights)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the image pools, which are identical on all processes."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["pools"] = {name: pool.state() for name, pool in self.pools.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the image pools."""
        super().on_load_checkpoint(checkpoint)
        for name, pool in self.pools.items():
            pool.restore(checkpoint["pools"][name], self.device)

    def _identity(self, update: Update, real: Batch) -> Tensor:
        total = torch.zeros((), device=self.device)
        if self.identity_weight == 0:
            return total
        for domain, generator in self.generators().items():
            distance = F.l1_loss(generator(real[domain]).float(), real[domain])
            update.observe(f"generator/{domain}_identity", distance)
            total = total + self.identity_weight * self.cycle_weights[domain] * distance
        return total

    def _pooled(self, domain: str, fakes: Tensor) -> Tensor:
        """Queries a pool with the images of all processes, so that all pools stay identical."""
        pool = self.pools[domain]
        world, rank = self._world, int(self.trainer.global_rank)
        if world > 1:
            # Row j of the global batch is on rank j % world, as in `Noise` and the data.
            gathered = cast(Tensor, self.all_gather(fakes))
            fakes = gathered.transpose(0, 1).flatten(0, 1)
        key = mix(self.seed, Stream.POOLS, int(domain == "target"), self._updates["discriminator"])
        return pool.query(fakes, Noise(key, len(fakes)))[rank::world]


class ImagePool:
    """History of generated images, which replace some of the discriminator's new fakes.

    Shrivastava et al. 2017, arXiv:1612.07828, as used by Zhu et al. 2017, arXiv:1703.10593: until
    the pool is full, it stores every image and returns it. After that, an image is swapped with a
    random image of the pool with probability 1/2, and returned unchanged otherwise.

    Args:
        size: capacity in images; 0 returns every image unchanged.
    """

    def __init__(self, size: int = 50) -> None:
        require(size >= 0, f"pool_size must be at least 0, got {size}")
        self.size = size
        self.images: list[Tensor] = []

    def query(self, images: Tensor, noise: Noise) -> Tensor:
        """Returns images [B, C, H, W], some of them replaced by earlier ones.

        Args:
            images: new images [B, C, H, W], detached.
            noise: random draws, one row for each image.
        """
        if self.size == 0:
            return images
        exchanged = (noise.uniform() < 0.5).tolist()
        positions = noise.integers(self.size).tolist()
        rows = zip(images.clone(), exchanged, positions, strict=True)
        return torch.stack([self._exchange(*row) for row in rows])

    def state(self) -> Tensor | None:
        """Returns the images of the pool, [N, C, H, W] on the CPU; None if it is empty."""
        return torch.stack(self.images).cpu() if self.images else None

    def restore(self, state: Tensor | None, device: torch.device) -> None:
        """Restores the result of :meth:`state`; images that exceed ``size`` are dropped."""
        self.images = [] if state is None else list(state[: self.size].to(device))

    def _exchange(self, image: Tensor, exchanged: bool, position: int) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image)
            return image
        if not exchanged:
            return image
        self.images[position], earlier = image, self.images[position]
        return earlier
