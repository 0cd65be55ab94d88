from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Literal, cast, get_args

import torch
from torch import Tensor
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
from torchvision.models import AlexNet_Weights, VGG16_Weights

from ganforge.errors import ConfigError
from ganforge.metrics.pairs.direction import Direction
from ganforge.metrics.pairs.score import PairScore
from ganforge.metrics.scores.score import own_random_numbers

log = logging.getLogger("ganforge")

Network = Literal["alex", "vgg"]
URLS = {"alex": AlexNet_Weights.IMAGENET1K_V1.url, "vgg": VGG16_Weights.IMAGENET1K_V1.url}
LEAST_SIDE = {"alex": 32, "vgg": 16}  # smaller images are reduced to nothing by the network
CONNECT_SECONDS = 20.0


class LPIPS(PairScore):
    """Learned perceptual distance of images, 0 for equal ones: Zhang et al. 2018, arXiv:1801.03924.

    Uses an ImageNet classifier, whose weights are loaded from PyTorch's hub cache or downloaded
    into it (244 MB for alex, 553 MB for vgg). Grey images are converted to RGB.

    Args:
        network: the classifier, "alex" or "vgg".
    """

    def __init__(self, network: Network = "alex") -> None:
        if network not in get_args(Network):
            raise ConfigError(f"lpips: network must be one of alex, vgg; got {network!r}")
        self.network = network
        self.look: LearnedPerceptualImagePatchSimilarity | None = None

    def check(self, name: str, direction: Direction) -> None:
        """Raises ConfigError for unpaired data and for images that the classifier can't process."""
        super().check(name, direction)
        target, least = direction.target, LEAST_SIDE[self.network]
        if target.channels not in (1, 3) or target.image_size < least:
            raise ConfigError(
                f"metrics={name} looks at grey or RGB images of at least {least} x {least} pixels, "
                f"and these are {target.channels} x {target.image_size} x {target.image_size}. "
                "Leave it out of metrics=[...]"
            )

    def prepare(self, device: torch.device) -> None:
        """Loads the classifier.

        Raises:
            ConfigError: Its weights are unavailable.
        """
        if self.look is None:
            fetch(self.network)
            # Initialising the weights, soon replaced, must not advance the training's generator.
            with own_random_numbers(0):
                self.look = LearnedPerceptualImagePatchSimilarity(self.network, reduction="none")
            self.look.requires_grad_(False)

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns the distance of each image, [n], from [n, C, H, W] in [0, 1]."""
        look = cast(LearnedPerceptualImagePatchSimilarity, self.look).to(self.device)
        shown = [
            images.float().mul(2).sub(1).expand(-1, 3, -1, -1) for images in (outputs, expected)
        ]
        look.reset()
        look.update(*shown)
        # Not compute(), which would synchronise processes: MeanOfImages does that at the end.
        return torch.cat([scores.flatten() for scores in look.all_scores])

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the protocol, including the classifier's name."""
        return super().protocol() | {"network": self.network}


def fetch(network: Network) -> Path:
    """Returns the file of a classifier's weights; downloads it if necessary.

    Raises:
        ConfigError: The download failed.
    """
    url = URLS[network]
    path: Path = Path(torch.hub.get_dir()) / "checkpoints" / str(url).rpartition("/")[2]
    if path.is_file():
        return path
    # Without a timeout, a firewall that drops packets would block the start of a run for minutes.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log.info("downloading the weights that lpips looks through to %s", path)
        prefix = path.stem.rpartition("-")[2]
        torch.hub.download_url_to_file(url, str(path), prefix, progress=False)
    except (OSError, RuntimeError) as fault:
        raise ConfigError(
            f"metrics=lpips: the weights of its classifier are missing: the download failed "
            f"({fault}). Fetch {url} and put it at {path}, or leave lpips out of metrics=[...]"
        ) from fault
    finally:
        socket.setdefaulttimeout(before)
    return path
