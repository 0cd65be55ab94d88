from __future__ import annotations

import torch
from torch import Tensor

from ganforge.data.sets.points import Mixture
from ganforge.errors import ConfigError
from ganforge.metrics.features.base import FeatureExtractor, Features
from ganforge.metrics.source import ImageSource


class PointFeatures(FeatureExtractor):
    """Features of points from a known mixture: coordinates as features, log densities as logits.

    The softmax of the logits is the true posterior over modes, and the highest logit is that of the
    nearest center. All scores keep their meaning: the Frechet distance is that of the points.

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
        """Returns the extractor of ``data`` on ``device``; raises ConfigError for images."""
        mixture = mixture_of(data)
        if mixture is None:
            raise ConfigError(
                f"features=points needs points in the plane, and data={data.name} has images; "
                "use data=ring8 or data=grid25, or features=auto"
            )
        return PointFeatures(mixture).to(device)


def mixture_of(data: object) -> Mixture | None:
    """Returns the mixture from which ``data`` draws its points; None for images."""
    mixture = getattr(data, "mixture", None)
    return mixture if isinstance(mixture, Mixture) else None


def refuse_points(data: ImageSource, option: str) -> None:
    """Raises ConfigError if ``data`` are points in the plane.

    Args:
        data: the data.
        option: the option that needs images, "features=..." or "metrics=...".
    """
    if mixture_of(data) is not None:
        features = option.startswith("features=")
        remedy = "use features=points or features=auto" if features else "leave it out of metrics"
        raise ConfigError(f"{option} needs images, and data={data.name} has points: {remedy}")
