from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Low-pass filters of the biorthogonal 9/7 wavelet (Cohen, Daubechies & Feauveau 1992), right half.
SYNTHESIS = [1.115087052456994, 0.591271763114247, -0.05754352622849957, -0.09127176311424948]
ANALYSIS = [
    0.6029490182363579,
    0.2668641184428723,
    -0.07822326652898785,
    -0.01686411844287495,
    0.02674875741080976,
]


class Resampler(nn.Module):
    """Applies geometric transformations to images, antialiased and mirrored at the borders.

    Karras et al. 2020, arXiv:2006.06676, appendix B: images are upsampled by 2 with a wavelet's
    filter, sampled bilinearly, and downsampled with its counterpart. Upsampling followed by
    downsampling reproduces the image, so pixels that are not moved are not blurred.

    The paper uses the orthogonal wavelet sym6, which is not symmetric and would shift a mirrored
    image by 0.4 pixels. This class uses the symmetric biorthogonal 9/7 wavelet: flips, quarter
    turns, shifts by whole pixels and mirrored borders are exact.
    """

    synthesis: Tensor
    analysis: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, half in {"synthesis": SYNTHESIS, "analysis": ANALYSIS}.items():
            taps = torch.tensor([*half[:0:-1], *half])
            self.register_buffer(name, taps, persistent=False)

    def forward(self, images: Tensor, origins: Tensor) -> Tensor:
        """Returns transformed images [B, C, H, W].

        Args:
            images: [B, C, H, W], at least 2 pixels wide and high, float32 or float64.
            origins: [B, 2, 3], maps a position of the result to its source position, in pixels from
                the image's center, x to the right and y downwards.
        """
        batch, channels, height, width = images.shape
        # The upsampled image has twice as many pixels: all positions are doubled.
        x, y = self._positions(images, width), self._positions(images, height)[:, None]
        m = origins[:, :2, :, None, None].to(images.dtype)
        positions = m[:, :, 0] * x + torch.addcmul(2 * m[:, :, 2], m[:, :, 1], y)
        # From positions relative to the center to indices.
        columns, rows = positions[:, 0] + (width - 1), positions[:, 1] + (height - 1)
        fine = self._upsample(images.reshape(-1, 1, height, width))
        fine = fine.reshape(batch, channels, *fine.shape[2:])
        moved = sample_bilinearly(fine, columns, rows)
        moved = moved.reshape(-1, 1, *moved.shape[2:])
        return self._downsample(moved).reshape(images.shape)

    def _positions(self, images: Tensor, side: int) -> Tensor:
        """Returns the doubled positions that downsampling reads, from the center."""
        most = side - 1 + len(ANALYSIS) - 1
        return torch.arange(-most, most + 1, device=images.device, dtype=images.dtype)

    def _upsample(self, images: Tensor) -> Tensor:
        """Returns [N, 1, 2H - 1, 2W - 1], with the original pixels at even indices."""
        taps = self.synthesis.to(images.dtype)[None, None]
        cut = len(SYNTHESIS) + 1  # the padding and the filter's reach
        padded = torch.cat([images[:, :, 1:2], images, images[:, :, -2:-1]], 2)
        fine = F.conv_transpose2d(padded, taps[..., None], stride=(2, 1), padding=(cut, 0))
        padded = torch.cat([fine[:, :, :, 1:2], fine, fine[:, :, :, -2:-1]], 3)
        return F.conv_transpose2d(padded, taps[..., None, :], stride=(1, 2), padding=(0, cut))

    def _downsample(self, fine: Tensor) -> Tensor:
        """Returns [N, 1, H, W] from [N, 1, 2H - 1 + 2r, 2W - 1 + 2r], r = len(ANALYSIS) - 1."""
        taps = self.analysis.to(fine.dtype)[None, None]
        low = F.conv2d(fine, taps[..., None], stride=(2, 1))
        return F.conv2d(low, taps[..., None, :], stride=(1, 2))


def sample_bilinearly(images: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Returns [B, C, *] of images [B, C, H, W] at positions [B, *], mirrored beyond the borders.

    Replaces PyTorch's grid_sample, which has no second derivative, no deterministic gradient on
    GPUs, and no gradient at all on some devices.
    """
    height, width = images.shape[2:]
    x, y = mirror(columns, width), mirror(rows, height)
    left, top = x.floor().clamp(max=width - 2), y.floor().clamp(max=height - 2)
    first = torch.add(left.long(), top.long(), alpha=width)
    across, down = (x - left).flatten(1)[:, None, None], (y - top).flatten(1)[:, None]
    # The four neighbours of a position: [B, 2 rows, 2 columns, *].
    pair = torch.stack([first, first + 1], 1)
    indices = torch.stack([pair, pair + width], 1).flatten(1)[:, None]
    corners = images.flatten(2).gather(2, indices.expand(-1, images.shape[1], -1))
    left_side, right_side = corners.reshape(*images.shape[:2], 2, 2, -1).unbind(3)
    above, below = torch.lerp(left_side, right_side, across).unbind(2)
    return torch.lerp(above, below, down).reshape(*images.shape[:2], *columns.shape[1:])


def mirror(positions: Tensor, side: int) -> Tensor:
    """Folds positions into 0 ... side - 1, mirrored at the first and the last pixel's center."""
    last = side - 1
    return last - (positions.remainder(2 * last) - last).abs()
