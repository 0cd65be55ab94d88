from __future__ import annotations

import math
from typing import Unpack

import torch

from ganforge.data.sets.mixture import Mixture
from ganforge.data.sets.points import PointData, PointSettings


class Ring8(PointData):
    """Eight Gaussians on a circle of radius 1: the 2D-ring of VEEGAN and PacGAN.

    Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086.

    Args:
        sigma: standard deviation of each Gaussian, relative to the radius of 1.
        name: name of the data set in runs and tables.
        num_classes: 8, the number of modes; 0 for points without labels.
        **settings: see :class:`ganforge.data.PointData`.
    """

    def __init__(
        self,
        sigma: float = 0.01,
        *,
        name: str = "ring8",
        num_classes: int = 8,
        **settings: Unpack[PointSettings],
    ) -> None:
        angles = torch.arange(8, dtype=torch.float64) * (math.pi / 4)
        centres = torch.stack([angles.cos(), angles.sin()], dim=1).float()
        super().__init__(name, Mixture(centres, sigma), num_classes=num_classes, **settings)
