from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from ganforge.data.sets.mixture import Mixture
from ganforge.metrics.features.points import mixture_of

POINTS = 4000  # in a picture
SIDE = 512  # pixels
REACH = 1.0  # coordinates shown, to either side
BLUR = 1.2  # pixels, standard deviation
LEAST_RING = 3  # pixels, radius of the mark around a centre
SHADES = ((255, 255, 255), (157, 197, 226), (49, 120, 185), (9, 40, 92))  # none ... dense
MARK = (214, 69, 39)


def scatter_of(data: object, points: Callable[[int], Tensor]) -> Image.Image | None:
    """Returns a picture of points where ``data`` has points of the plane; None for images.

    Args:
        data: a data module.
        points: gives that many points [N, 2, 1, 1] in [-1, 1]; not called for images.
    """
    mixture = mixture_of(data)
    return None if mixture is None else scatter(points(POINTS), mixture)


def scatter(points: Tensor | Iterable[Tensor], mixture: Mixture) -> Image.Image:
    """Draws points of the plane as a density, and a ring of 3 deviations around each centre.

    The darker, the more points: on a scale of logarithms, so that few that have gone astray are
    seen beside many in one place. Points beyond the border are left out.

    Args:
        points: [N, 2] or [N, 2, 1, 1], the first coordinate to the right, the second upwards; or
            several such tensors, of which one at a time is held.
        mixture: what real points are drawn from, in the same unit.
    """
    chunks = [points] if isinstance(points, Tensor) else points
    counts = sum((count(chunk) for chunk in chunks), torch.zeros(SIDE**2, dtype=torch.int64))
    shown = Image.fromarray(shade(blurred(counts)).numpy())
    draw = ImageDraw.Draw(shown)
    ring = max(3 * mixture.sigma * SIDE / (2 * REACH), LEAST_RING)
    for x, y in place(mixture.centres.cpu()).tolist():
        draw.ellipse((x - ring, y - ring, x + ring, y + ring), outline=MARK)
    return shown


def place(points: Tensor) -> Tensor:
    """Returns the pixel coordinates [N, 2] (right, down) of points [N, 2] (right, up)."""
    right, up = points.unbind(1)
    return torch.stack([REACH + right, REACH - up], dim=1) * (SIDE / (2 * REACH))


def density(points: Tensor) -> Tensor:
    """Returns float [SIDE, SIDE], rows downwards: points for each pixel, slightly blurred."""
    return blurred(count(points))


def count(points: Tensor) -> Tensor:
    """Returns int64 [SIDE * SIDE]: points for each pixel, row by row downwards."""
    points = points.detach().cpu().flatten(1).float()
    pixels = place(points).floor().long()
    inside = ((pixels >= 0) & (pixels < SIDE)).all(1) & points.isfinite().all(1)
    right, down = pixels[inside].unbind(1)
    return torch.bincount(down * SIDE + right, minlength=SIDE**2)


def blurred(counts: Tensor) -> Tensor:
    """Returns float [SIDE, SIDE] of the counts of all pixels, slightly blurred."""
    reach = 4
    kernel = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * BLUR**2))
    rows = F.conv2d(counts.float().view(1, 1, SIDE, SIDE), kernel.view(1, 1, 1, -1), padding="same")
    return F.conv2d(rows, kernel.view(1, 1, -1, 1), padding="same")[0, 0]


def shade(values: Tensor) -> Tensor:
    """Returns uint8 [H, W, 3]: white where there is nothing, dark where there is most."""
    height = torch.log1p(values)
    share = height / height.max().clamp(min=torch.finfo(height.dtype).tiny)
    stops = torch.tensor(SHADES, dtype=torch.float32)
    at = share * (len(stops) - 1)
    low = at.floor().long().clamp(max=len(stops) - 2)
    colours = torch.lerp(stops[low], stops[low + 1], (at - low).unsqueeze(2))
    return colours.round().to(torch.uint8)
