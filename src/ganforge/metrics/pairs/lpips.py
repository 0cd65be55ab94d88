from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast, get_args

import torch
from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.pairs.direction import Direction
from ganforge.metrics.pairs.score import PairScore
from ganforge.metrics.scores.score import own_random_numbers
from ganforge.metrics.source import ImageSource
from ganforge.metrics.weights import PublishedWeights

if TYPE_CHECKING:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

Network = Literal["alex", "vgg"]
# The addresses of torchvision, which is imported only once there is a network to build.
URLS = {
    "alex": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "vgg": "https://download.pytorch.org/models/vgg16-397923af.pth",
}
LEAST_SIDE = {"alex": 32, "vgg": 16}  # smaller images are reduced to nothing by the network


class LPIPS(PairScore):
    """Learned perceptual distance of images, 0 for equal ones: Zhang et al. 2018, arXiv:1801.03924.

    Uses an ImageNet classifier, whose weights are loaded from PyTorch's hub cache or downloaded
    into it (244 MB for alex, 553 MB for vgg). Gray images are converted to RGB.

    Args:
        network: the classifier, "alex" or "vgg".
    """

    def __init__(self, network: Network = "alex") -> None:
        if network not in get_args(Network):
            raise ConfigError(f"lpips: network must be one of alex, vgg; got {network!r}")
        self.network = network
        self.distance: LearnedPerceptualImagePatchSimilarity | None = None

    def check(self, name: str, direction: Direction) -> None:
        """Raises ConfigError for unpaired data and for images that the classifier can't process."""
        super().check(name, direction)
        if reason := self._why_unsuitable(direction.target):
            raise ConfigError(f"metrics={name}: {reason}. Leave it out of metrics=[...]")

    def why_unavailable(self, data: ImageSource, device: torch.device) -> str:
        """Loads the classifier; returns why it can't compare images of ``data``, "" if it can."""
        reason = self._why_unsuitable(data)
        try:
            if not reason:
                self.prepare(device)
        except ConfigError as fault:
            reason = str(fault)
        return reason

    def _why_unsuitable(self, data: ImageSource) -> str:
        least, size = LEAST_SIDE[self.network], data.image_size
        if data.channels in (1, 3) and size >= least:
            return ""
        return (
            f"LPIPS needs gray or RGB images of at least {least} x {least} pixels, and these are "
            f"{data.channels} x {size} x {size}"
        )

    def prepare(self, device: torch.device) -> None:
        """Loads the classifier; raises ConfigError if its weights are unavailable."""
        if self.distance is None:
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            url = URLS[self.network]
            PublishedWeights("LPIPS weights", url, "leave lpips out of metrics=[...]").fetch()
            # Initializing the weights, soon replaced, must not advance the training's generator.
            with own_random_numbers(0):
                self.distance = LearnedPerceptualImagePatchSimilarity(
                    self.network, reduction="none"
                )
            self.distance.requires_grad_(False)

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns the distance of each image, [n], from [n, C, H, W] in [0, 1]."""
        distance = cast("LearnedPerceptualImagePatchSimilarity", self.distance).to(self.device)
        distance.reset()
        distance.update(
            *(images.float().mul(2).sub(1).expand(-1, 3, -1, -1) for images in (outputs, expected))
        )
        # Not compute(), which would synchronize processes: MeanOfImages does that at the end.
        return torch.cat([scores.flatten() for scores in distance.all_scores])

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the protocol, including the classifier's name."""
        return super().protocol() | {"network": self.network}
