from __future__ import annotations

import torch
from torch import Tensor

from ganforge.data.sets.mixture import Mixture
from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.source import ImageSource


class PointFeatures(FeatureExtractor):
    """Features of points from a known mixture: coordinates as features, log densities as logits.

    The softmax of the logits is the true posterior over modes, and the highest logit is that of the
    nearest centre. All scores keep their meaning: the Frechet distance is that of the points.

    Args:
        mixture: the distribution of the real points.
    """

    name = "points"
    suffix = "_points"
    takes_floats = True
    names_modes = True
    names_labels = True  # the labels of points are their modes

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.register_buffer("centres", mixture.centres)
        self.mixture = mixture
        self.num_features = 2
        self.num_logits = mixture.modes
        self.protocol = {"features": "points", "sigma": mixture.sigma, "resize": "none"}

    @property
    def device(self) -> torch.device:
        """The device on which features are computed."""
        centres: Tensor = self.get_buffer("centres")
        return centres.device

    def forward(self, images: Tensor) -> Features:
        """Returns features [B, 2] and logits [B, k] of float points [B, 2, 1, 1]."""
        points = images.flatten(1).float()
        return Features(points, self.mixture.log_density(points))


class PointFactory:
    """Features of points in the plane: their coordinates and log densities of the modes."""

    def build(self, data: ImageSource, device: torch.device) -> FeatureExtractor:
        """Returns the extractor of ``data`` on ``device``.

        Raises:
            ConfigError: The data are not points of a mixture.
        """
        mixture = mixture_of(data)
        if mixture is None:
            raise ConfigError(
                f"features=points looks at points of the plane, and data {data.name!r} has images; "
                "take data=ring8 or data=grid25, or features=auto"
            )
        return PointFeatures(mixture).to(device)


def mixture_of(data: object) -> Mixture | None:
    """Returns the mixture from which ``data`` draws its points; None for images."""
    mixture = getattr(data, "mixture", None)
    return mixture if isinstance(mixture, Mixture) else None


def refuse_points(data: ImageSource, features: str) -> None:
    """Raises ConfigError if ``data`` are points in the plane and the extractor needs images."""
    if mixture_of(data) is not None:
        raise ConfigError(
            f"features={features} looks at images, and data={data.name} has points of the plane; "
            "take features=points or features=auto"
        )
