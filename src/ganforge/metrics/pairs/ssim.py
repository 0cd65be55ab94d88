from __future__ import annotations

from torch import Tensor

from ganforge.errors import ConfigError
from ganforge.metrics.pairs.direction import Direction
from ganforge.metrics.pairs.score import PairScore

REACH = 3.5  # radius of the window in standard deviations


class SSIM(PairScore):
    """Structural similarity in [-1, 1], 1 for equal images.

    Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity"
    (IEEE TIP 13:4). Compares luminance, contrast and structure in a Gaussian window, per channel,
    with K1 = 0.01 and K2 = 0.03. Borders are padded by reflection.

    Args:
        sigma: standard deviation of the window in pixels; 1.5 gives the paper's 11 x 11.
    """

    higher_is_better = True

    def __init__(self, sigma: float = 1.5) -> None:
        if not sigma > 0:
            raise ConfigError(f"ssim: sigma must be above 0, got {sigma}")
        self.sigma = sigma

    @property
    def window(self) -> int:
        """Side of the window in pixels."""
        return 2 * int(REACH * self.sigma + 0.5) + 1

    def check(self, name: str, direction: Direction) -> None:
        """Raises ConfigError for unpaired data and for images smaller than the window."""
        super().check(name, direction)
        size = direction.target.image_size
        if size < self.window:
            raise ConfigError(
                f"metrics={name} uses a window of {self.window} x {self.window} pixels, and the "
                f"images are {size} x {size}. Leave it out of metrics=[...], or use "
                f"data.image_size={self.window} or more, or a smaller metrics.{name}.sigma"
            )

    def each(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """Returns the similarity of each image, [n], from [n, C, H, W] in [0, 1]."""
        # Imports all functions of torchmetrics and torchvision.
        from torchmetrics.functional.image import structural_similarity_index_measure

        values = structural_similarity_index_measure(
            outputs, expected, sigma=self.sigma, data_range=1.0, reduction="none"
        )
        assert isinstance(values, Tensor)
        return values

    def protocol(self) -> dict[str, str | int | float]:
        """Returns the protocol, including the window's size and standard deviation."""
        return super().protocol() | {"window": self.window, "sigma": self.sigma}
