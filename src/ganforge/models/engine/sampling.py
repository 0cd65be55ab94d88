from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganforge.errors import ConfigError
from ganforge.streams import Noise, Stream, mix

# Images are always generated in whole blocks of this size, because a convolution may round
# differently at another batch size.
SAMPLE_BLOCK = 64

Generate = Callable[[Noise, Tensor | None], Tensor]


def sample_blocks(
    generate: Generate,
    n: int,
    seed: int,
    start: int,
    labels: Tensor | None,
    num_classes: int,
    device: torch.device,
) -> Tensor:
    """Returns images start ... start + n - 1 of stream ``seed``, float32 [n, C, H, W].

    Image i depends only on (seed, i) and its label.

    Args:
        generate: maps random draws and labels [rows] to images [rows, C, H, W].
        n: number of images.
        seed: seed of the latents.
        start: index of the first image.
        labels: int64 [n]; None cycles through the classes.
        num_classes: number of classes of the generator; 0 if it is unconditional.
        device: device on which images are generated.

    Raises:
        ConfigError: if labels are out of range, of the wrong number, or given without classes.
    """
    check_labels(labels, num_classes, n)
    images = []
    for block in range(start // SAMPLE_BLOCK, -(-(start + n) // SAMPLE_BLOCK)):
        first = block * SAMPLE_BLOCK
        noise = Noise(mix(seed, Stream.SAMPLING, block), SAMPLE_BLOCK, device)
        rows = slice(max(start - first, 0), start + n - first)
        classes = block_labels(first, num_classes, device, labels, start)
        images.append(generate(noise, classes)[rows].float())
    return torch.cat(images).contiguous()


def image_noise(seed: int, index: int, device: torch.device) -> Noise:
    """Returns the random draws of image ``index`` of stream ``seed``."""
    block, row = divmod(index, SAMPLE_BLOCK)
    return Noise(mix(seed, Stream.SAMPLING, block), SAMPLE_BLOCK, device).split(SAMPLE_BLOCK)[row]


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
    first: int, num_classes: int, device: torch.device, labels: Tensor | None = None, start: int = 0
) -> Tensor | None:
    """Returns the labels of the block at ``first``: cycling classes, overridden by ``labels``."""
    if num_classes == 0:
        return None
    block = torch.arange(first, first + SAMPLE_BLOCK) % num_classes
    if labels is not None:
        low, high = max(first, start), min(first + SAMPLE_BLOCK, start + len(labels))
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
        with torch.autocast(device.type, enabled=False), parametrize.cached():
            yield
    finally:
        network.train(was_training)
