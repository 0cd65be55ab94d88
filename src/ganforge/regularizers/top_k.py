from __future__ import annotations

from torch import Tensor

from ganforge.errors import require
from ganforge.regularizers.regularizer import Regularizer


class TopK(Regularizer):
    """Trains the generator only on the images of a batch with the k highest logits.

    Sinha et al. 2020, arXiv:2002.06224, algorithm 1: k starts at the whole batch and is multiplied
    by gamma at intervals, down to a fraction of the batch. It selects images and adds no term to
    the loss, so it has no weight.

    The selection is made among the images of one forward pass: those of each process, and of each
    part of an accumulated batch.

    Args:
        final_share: the paper's nu, the smallest k as a fraction of the batch, in (0, 1].
        gamma: factor of k at each interval, in (0, 1].
        every_images: real images in an interval; the authors decay k once per epoch, which is
            50,000 images for CIFAR-10.
    """

    second_order = False
    player = "generator"

    def __init__(
        self, final_share: float = 0.5, gamma: float = 0.99, every_images: int = 50_000
    ) -> None:
        super().__init__()
        for name, value in [("final_share", final_share), ("gamma", gamma)]:
            require(0 < value <= 1, f"TopK: {name} must be in (0, 1], got {value}")
        require(every_images >= 1, f"TopK: every_images must be at least 1, got {every_images}")
        self.final_share = final_share
        self.gamma = gamma
        self.every_images = every_images

    def share(self, images_seen: int) -> float:
        """Returns k as a fraction of the batch, from 1 at the start down to ``final_share``."""
        return max(self.gamma ** (images_seen // self.every_images), self.final_share)

    def phase(self, images_seen: int) -> float:
        """Returns k as a fraction of the batch, which decides on shapes."""
        return self.share(images_seen)

    def kept(self, fake_logits: Tensor, images_seen: int) -> Tensor | None:
        """Returns the rows of the k largest logits, int64 [k]; None for the whole batch."""
        k = max(1, round(self.share(images_seen) * len(fake_logits)))
        if k == len(fake_logits):
            return None
        return fake_logits.detach().topk(k).indices
