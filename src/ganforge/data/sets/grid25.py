from __future__ import annotations

from typing import Unpack

import torch

from ganforge.data.sets.mixture import Mixture
from ganforge.data.sets.points import PointData, PointSettings


class Grid25(PointData):
    """25 Gaussians at {-4, -2, 0, 2, 4}^2: the 2D-grid of VEEGAN and PacGAN.

    Srivastava et al. 2017, arXiv:1705.07761; Lin et al. 2018, arXiv:1712.04086.

    Args:
        sigma: standard deviation of each Gaussian, relative to a distance of 2 between neighbors.
        name: name of the data set in runs and tables.
        num_classes: 25, the number of modes; 0 for points without labels.
        **settings: see :class:`ganforge.data.PointData`.
    """

    def __init__(
        self,
        sigma: float = 0.05,
        *,
        name: str = "grid25",
        num_classes: int = 25,
        **settings: Unpack[PointSettings],
    ) -> None:
        ticks = torch.arange(-4.0, 5.0, 2.0)
        mixture = Mixture(torch.cartesian_prod(ticks, ticks), sigma)
        super().__init__(name, mixture, num_classes=num_classes, **settings)
