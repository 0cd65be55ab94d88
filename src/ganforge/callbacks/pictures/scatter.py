from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.sets.points import Mixture
from ganforge.metrics.features.points import mixture_of

POINTS = 4000  # points in a picture
SIDE = 512  # pixels
REACH = 1.0  # coordinates from -REACH to REACH are drawn
BLUR = 1.2  # standard deviation in pixels
LEAST_RING = 3  # minimum radius in pixels of the mark around a center
SHADES = ((255, 255, 255), (157, 197, 226), (49, 120, 185), (9, 40, 92))  # empty ... dense
MARK = (214, 69, 39)


def scatter_of(data: object, points: Callable[[int], Tensor]) -> Image.Image | None:
    """Returns a density plot if ``data`` has 2-D points; None for images.

    Args:
        data: a data module.
        points: returns N points [N, 2, 1, 1] in [-1, 1]; not called for images.
    """
    mixture = mixture_of(data)
    return None if mixture is None else scatter(points(POINTS), mixture)


def scatter(points: Tensor | Iterable[Tensor], mixture: Mixture) -> Image.Image:
    """Returns a density plot of 2-D points, with a ring of 3 standard deviations at each center.

    Darker means denser. The scale is logarithmic, so that a few outliers remain visible next to
    dense clusters. Points outside the picture are dropped.

    Args:
        points: [N, 2] or [N, 2, 1, 1], the first coordinate to the right, the second upwards; or
            an iterable of such tensors, read one at a time.
        mixture: the distribution of real points, in the same unit.
    """
    chunks = [points] if isinstance(points, Tensor) else points
    counts = sum((count(chunk) for chunk in chunks), torch.zeros(SIDE**2, dtype=torch.int64))
    plot = Image.fromarray(shade(blurred(counts)).numpy())
    draw = ImageDraw.Draw(plot)
    ring = max(3 * mixture.sigma * SIDE / (2 * REACH), LEAST_RING)
    for x, y in to_pixels(mixture.centres.cpu()).tolist():
        draw.ellipse((x - ring, y - ring, x + ring, y + ring), outline=MARK)
    return plot


def to_pixels(points: Tensor) -> Tensor:
    """Returns the pixel coordinates [N, 2] (right, down) of points [N, 2] (right, up)."""
    right, up = points.unbind(1)
    return torch.stack([REACH + right, REACH - up], dim=1) * (SIDE / (2 * REACH))


def count(points: Tensor) -> Tensor:
    """Returns the number of points per pixel: int64 [SIDE * SIDE], row by row from the top."""
    points = points.detach().cpu().flatten(1).float()
    pixels = to_pixels(points).floor().long()
    inside = ((pixels >= 0) & (pixels < SIDE)).all(1) & points.isfinite().all(1)
    right, down = pixels[inside].unbind(1)
    return torch.bincount(down * SIDE + right, minlength=SIDE**2)


def blurred(counts: Tensor) -> Tensor:
    """Returns slightly blurred counts: float [SIDE, SIDE] from counts [SIDE * SIDE]."""
    reach = 4
    kernel = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * BLUR**2))
    rows = F.conv2d(counts.float().view(1, 1, SIDE, SIDE), kernel.view(1, 1, 1, -1), padding="same")
    return F.conv2d(rows, kernel.view(1, 1, -1, 1), padding="same")[0, 0]


def shade(values: Tensor) -> Tensor:
    """Returns uint8 colors [H, W, 3], from white for 0 to dark for the maximum."""
    height = torch.log1p(values)
    share = height / height.max().clamp(min=torch.finfo(height.dtype).tiny)
    stops = torch.tensor(SHADES, dtype=torch.float32)
    at = share * (len(stops) - 1)
    low = at.floor().long().clamp(max=len(stops) - 2)
    colors = torch.lerp(stops[low], stops[low + 1], (at - low).unsqueeze(2))
    return colors.round().to(torch.uint8)
