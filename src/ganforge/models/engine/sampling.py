from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganforge.errors import ConfigError, require
from ganforge.full_precision import full_precision
from ganforge.models.engine.averaging import ExponentialMovingAverage
from ganforge.models.engine.update import Weights
from ganforge.out_of_memory import explaining_memory
from ganforge.streams import Noise, Stream, joined, mix

# Images are always generated in whole blocks of this size, because a convolution may round
# differently at another batch size.
SAMPLE_BLOCK = 64
# A GPU is idle between the kernels of so few small images. If its memory leaves room next to a
# training, it generates this many blocks together.
BLOCKS_ON_GPU = 4
LARGEST_ON_GPU = 64  # side of the images in pixels
ROOM_ON_GPU = 32 * 2**30  # memory of the device in bytes
_MEMORY_ADVICE = (
    f"Samples are generated {SAMPLE_BLOCK} at a time in full precision, whatever data.batch_size "
    "and model.accumulate are: use a device with more memory"
)

Generate = Callable[[Noise, Tensor | None], Tensor]


class Sampling:
    """What a model does that generates images from random draws.

    Attributes:
        device: device of the model.
        generator: the live generator.
        average: its moving average; None evaluates the live weights.
        num_classes: number of classes of the generator; 0 if it is unconditional.
    """

    device: torch.device
    generator: nn.Module
    average: ExponentialMovingAverage | None
    num_classes: int = 0

    def generate(self, generator: nn.Module, noise: Noise, labels: Tensor | None = None) -> Tensor:
        """Draws latents from ``noise`` and returns ``noise.rows`` images [B, C, H, W].

        Args:
            generator: the live generator or its average.
            noise: random draws, one row for each image.
            labels: int64 [rows] in 0 ... num_classes - 1; None for a model without classes.
        """
        raise NotImplementedError

    @torch.no_grad()
    def sample(
        self,
        n: int,
        seed: int = 0,
        weights: Weights = "ema",
        start: int = 0,
        labels: Tensor | None = None,
    ) -> Tensor:
        """Generates images in evaluation mode and full precision.

        Image ``i`` depends only on (seed, start + i) and its label, not on ``n``. Processes can
        therefore share the work, and a longer list starts with the images of a shorter one.

        Args:
            n: number of images.
            seed: seed of the latents; their stream is separate from those of training.
            weights: "ema" for the averaged generator, "raw" for the live one.
            start: index of the first image.
            labels: int64 [n] in 0 ... num_classes - 1; None cycles through the classes: image i
                has class i % num_classes.

        Returns:
            [n, C, H, W] in [-1, 1] on the module's device.
        """
        return self.sample_blocks(self.generate, n, seed, weights, start, labels)

    def sample_blocks(
        self,
        generate: Callable[[nn.Module, Noise, Tensor | None], Tensor],
        n: int,
        seed: int,
        weights: Weights,
        start: int,
        labels: Tensor | None,
    ) -> Tensor:
        """Returns what ``generate`` returns for n samples; other arguments as in :meth:`sample`."""
        generator = self.averaged(weights)
        with evaluated(generator, self.device):
            draw = partial(generate, generator)
            where = self.device, blocks_at_once(self.generator, self.device)
            return sample_blocks(draw, n, seed, start, labels, self.num_classes, *where)

    def averaged(self, weights: Weights) -> nn.Module:
        """Returns the averaged generator for "ema", if there is one; else the live generator."""
        require(weights in ("ema", "raw"), f"weights must be one of ema, raw; got {weights!r}")
        return self.generator if weights == "raw" or self.average is None else self.average


def sample_blocks(
    generate: Generate,
    n: int,
    seed: int,
    start: int,
    labels: Tensor | None,
    num_classes: int,
    device: torch.device,
    at_once: int = 1,
) -> Tensor:
    """Returns images start ... start + n - 1 of stream ``seed``, float32 [n, C, H, W].

    Image i depends only on (seed, i) and its label; on other devices it differs by rounding.

    Args:
        generate: maps random draws and labels [rows] to images [rows, C, H, W].
        n: number of images.
        seed: seed of the latents.
        start: index of the first image.
        labels: int64 [n]; None cycles through the classes.
        num_classes: number of classes of the generator; 0 if it is unconditional.
        device: device on which images are generated.
        at_once: blocks that are generated together; changes images by rounding only.

    Raises:
        ConfigError: if labels are out of range, of the wrong number, or given without classes.
    """
    check_labels(labels, num_classes, n)
    images = []
    size = at_once * SAMPLE_BLOCK
    with explaining_memory(device, _MEMORY_ADVICE):
        for group in range(start // size, -(-(start + n) // size)):
            first = group * size
            blocks = range(group * at_once, (group + 1) * at_once)
            noise = joined([portable_noise(mix(seed, Stream.SAMPLING, i), device) for i in blocks])
            rows = slice(max(start - first, 0), start + n - first)
            classes = block_labels(first, num_classes, device, labels, start, size)
            images.append(generate(noise, classes)[rows].float())
    return torch.cat(images).contiguous()


def blocks_at_once(generator: nn.Module, device: torch.device) -> int:
    """Returns the number of blocks that a device generates together; equal for all calls."""
    side = getattr(generator, "image_size", None)
    if device.type != "cuda" or side is None or side > LARGEST_ON_GPU:
        return 1
    memory = torch.cuda.get_device_properties(device).total_memory
    return BLOCKS_ON_GPU if memory >= ROOM_ON_GPU else 1


def image_noise(seed: int, index: int, device: torch.device) -> Noise:
    """Returns the random draws of image ``index`` of stream ``seed``."""
    block, row = divmod(index, SAMPLE_BLOCK)
    noise = portable_noise(mix(seed, Stream.SAMPLING, block), device)
    return noise.split(SAMPLE_BLOCK)[row]


def portable_noise(seed: int, device: torch.device) -> Noise:
    """Returns the random draws of a block of samples, the same for every device."""
    return Noise(seed, SAMPLE_BLOCK, device, portable=True)


def check_labels(labels: Tensor | None, num_classes: int, n: int) -> None:
    """Raises ConfigError unless there is one label in 0 ... num_classes - 1 for each image."""
    if labels is None:
        return
    if num_classes == 0:
        raise ConfigError("this model is unconditional: it does not take labels")
    if labels.shape != (n,):
        raise ConfigError(f"labels must have shape [{n}], one per image, got {[*labels.shape]}")
    if n and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ConfigError(
            f"labels must be in 0 ... {num_classes - 1}, got {int(labels.min())} ... "
            f"{int(labels.max())}"
        )


def block_labels(
    first: int,
    num_classes: int,
    device: torch.device,
    labels: Tensor | None = None,
    start: int = 0,
    size: int = SAMPLE_BLOCK,
) -> Tensor | None:
    """Returns the labels of the block at ``first``: cycling classes, overridden by ``labels``."""
    if num_classes == 0:
        return None
    block = torch.arange(first, first + size) % num_classes
    if labels is not None:
        low, high = max(first, start), min(first + size, start + len(labels))
        block[low - first : high - first] = labels.cpu()[low - start : high - start]
    return block.to(device)


def truncated_latents(noise: Noise, latent_dim: int, threshold: float | None) -> Tensor:
    """Returns z ~ N(0, I) with each value in [-threshold, threshold], [rows, latent_dim].

    The truncation trick of Brock et al. 2019 (arXiv:1809.11096) redraws values beyond the threshold
    until they fit. Here they are drawn once, from the truncated normal distribution, which is the
    same distribution. Each row thus uses a fixed number of draws, and values within the threshold
    equal those of the untruncated latents.

    Args:
        noise: random draws, one row for each image.
        latent_dim: length of z.
        threshold: largest absolute value, above 0; None for no truncation.
    """
    z = noise.normal(latent_dim)
    if threshold is None:
        return z
    share = noise.uniform(latent_dim)
    # Inverse of the distribution function, with P(|z| <= threshold) = erf(threshold / sqrt(2)).
    probability = math.erf(threshold / math.sqrt(2))
    truncated = math.sqrt(2) * torch.erfinv((2 * share - 1) * probability)
    return torch.where(z.abs() <= threshold, z, truncated.clamp(-threshold, threshold))


@contextlib.contextmanager
def evaluated(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Switches a network to evaluation mode and full precision inside the context.

    Normalized weights are computed once, so the weights must not be changed inside.
    """
    was_training = network.training
    network.eval()
    try:
        with full_precision(device), parametrize.cached():
            yield
    finally:
        network.train(was_training)
